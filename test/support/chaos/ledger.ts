import type { Visitor } from '../visitor.ts'
import { OUTAGE_GRACE_MS } from './faults.ts'
import type { LagLog } from './lag-log.ts'
import type { Ending } from './schedule.ts'
import type { Trouble } from './trouble.ts'

/** The tokens of one sign-in, through all renewals. */
export interface TokenChain {
  readonly sub: string
  readonly sid: string
}

/** One sign-in of one person. */
export interface LedgerSession {
  readonly name: string
  readonly person: number
  readonly sub: string
  readonly browser: Visitor
  readonly chain: TokenChain | undefined
  /** The cookies that somebody might have copied just before the end. */
  copied: string | undefined
  order: EndingOrder | undefined
  /** Why nothing can be said of it any more: whoever knew is gone. */
  doubt: string | undefined
}

/** End of a session; `pending` means that the replica that was asked has yet to tell Redis. */
export interface EndingOrder {
  readonly ending: Ending
  readonly at: number
  /** Which life of that replica. */
  readonly life: number
  readonly askedAtMs: number
  answered: { readonly atMs: number; readonly outcome: 'done' | 'pending' } | undefined
}

/** Record of who is signed in, kept from requests and responses and not from the state of Vestibule. */
export type Ledger = ReturnType<typeof createLedger>

/** Publish latency, and what a busy machine adds to it. */
const HEARD_WITHIN_MS = 2000
const KEPT_SESSIONS = 400

export function createLedger(trouble: Trouble, lag: LagLog, lifeOf: (replica: number) => number) {
  let sessions: LedgerSession[] = []
  let count = 0

  /** From when on every replica that hears could know. */
  const toldAtMs = ({ at, answered }: EndingOrder): number | undefined => {
    if (!answered) return undefined
    return answered.outcome === 'done' ? answered.atMs : trouble.firstCalm(at, answered.atMs)
  }

  /**
   * Whether the replica that was asked knows of this very session. What it has passed on as an end of all that somebody
   * has it need not keep: others may have ended the session itself.
   */
  const isKnownThere = ({ at, life, ending, answered }: EndingOrder, nowMs: number): boolean => {
    if (!answered || lifeOf(at) !== life) return false
    if (answered.outcome === 'done' || ending === 'sign-out') return true
    return trouble.isCutOff(at, answered.atMs, nowMs)
  }

  const mayStillPass = (order: EndingOrder, replica: number, sentAtMs: number): boolean => {
    const { answered, at, askedAtMs } = order
    if (!answered) return true
    const nowMs = performance.now()
    if (replica === at && isKnownThere(order, nowMs)) return sentAtMs < answered.atMs
    const toldMs = toldAtMs(order)
    if (toldMs === undefined) return true
    const heardMs = toldMs + HEARD_WITHIN_MS + lag.since(askedAtMs)
    if (sentAtMs < heardMs + trouble.staleMs(replica, askedAtMs, heardMs)) return true
    return sentAtMs < heardMs + OUTAGE_GRACE_MS && trouble.isUnsure(replica, sentAtMs, nowMs)
  }

  return {
    get sessions() {
      return sessions
    },
    add: (begun: Omit<LedgerSession, 'name' | 'copied' | 'order' | 'doubt'>) => {
      count += 1
      const name = `${begun.sub}#${count}`
      const session = { ...begun, name, copied: undefined, order: undefined, doubt: undefined }
      sessions.push(session)
      if (sessions.length > KEPT_SESSIONS) {
        const tooMany = sessions.length - KEPT_SESSIONS
        sessions = sessions.filter(
          ({ order, doubt }, index) => index >= tooMany || (!order && doubt === undefined),
        )
      }
      return session
    },
    find: (chain: TokenChain) => sessions.find((session) => session.chain === chain),
    /** Judges a check that was sent at this time and has been answered now. */
    expect: (session: LedgerSession, replica: number, sentAtMs: number) => {
      if (session.doubt !== undefined) return 'either'
      if (!session.order) return 'in'
      return mayStillPass(session.order, replica, sentAtMs) ? 'either' : 'out'
    },
    /** Tokens that may have been only in the memory of a replica that has ended: the next renewal may be refused. */
    loseTokens: (chain: TokenChain) => {
      const session = sessions.find((each) => each.chain === chain)
      if (session) session.doubt ??= 'its tokens were lost with a replica'
    },
    /** A replica has ended: what only it knew is in doubt. */
    forgetReplica: (replica: number) => {
      for (const session of sessions) {
        const { order } = session
        if (order?.at !== replica || order.answered?.outcome !== 'pending') continue
        if (toldAtMs(order) === undefined) session.doubt = 'its end was lost with a replica'
      }
    },
  }
}
