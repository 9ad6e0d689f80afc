import { setTimeout as wait } from 'node:timers/promises'
import { turns } from '../fleet-load.ts'
import { OUTAGE_COOKIE } from '../outage.ts'
import { APP } from '../relying-party.ts'
import { createRequestPool, forwardedNavigation, type PooledAnswer } from '../request-pool.ts'
import { cookieHeader } from '../sign-in-steps.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { Findings } from './findings.ts'
import type { Ledger, LedgerSession } from './ledger.ts'
import type { Trouble } from './trouble.ts'

export interface ActivityOptions {
  readonly replicas: readonly ChaosReplica[]
  readonly ledger: Ledger
  readonly trouble: Trouble
  readonly findings: Findings
  readonly people: number
  readonly sessionOf: (person: number) => LedgerSession | undefined
}

const PAUSE_MS = 400
const COPY_PAUSE_MS = 80
/** How long the copy of a session that has ended is tried again and again. */
const COPIES_FOR_MS = 40_000
const ANSWERED_WITHIN_MS = 20_000
const CONNECTIONS = 64
const NOT_SIGNED_IN = new Set([302, 303, 401])

export function startActivity(options: ActivityOptions) {
  const { replicas, ledger, trouble, findings } = options
  const pools = replicas.map(({ internalPort }) => createRequestPool(internalPort, CONNECTIONS))
  const statuses: Record<string, number> = {}
  let isOver = false

  const judge = (
    answer: PooledAnswer | undefined,
    { at }: ChaosReplica,
    session: LedgerSession,
    sentAtMs: number,
  ): void => {
    const about = { replica: at, session, sentAtMs }
    const nowMs = performance.now()
    const status = answer?.status
    if (answer === undefined || status === undefined) {
      if (!trouble.has('isReplicaAway', at, sentAtMs, nowMs)) findings.add('no answer', about)
      return
    }
    const expected = ledger.expect(session, at, sentAtMs)
    if (status === 200) {
      const named = answer.headers['x-auth-request-user']
      if (named !== session.sub)
        findings.add('somebody else', { ...about, detail: `named ${String(named)}` })
      if (expected === 'out') findings.add('let in after the end', about)
    } else if (NOT_SIGNED_IN.has(status)) {
      if (expected !== 'in') return
      findings.add('refused as not signed in', about)
      session.doubt = 'it was refused, which has been told'
    } else if (status === 503) {
      if (!trouble.isUnsure(at, sentAtMs, nowMs)) findings.add('503 without a fault', about)
    } else findings.add(`status ${status}`, about)
    for (const line of answer.headers['set-cookie'] ?? []) {
      const isAssertion = status === 200 && line.startsWith(`${OUTAGE_COOKIE}=`)
      if (!isAssertion)
        findings.add('a check set a cookie', { ...about, detail: line.slice(0, 40) })
    }
  }

  const ask = async (
    replica: ChaosReplica,
    session: LedgerSession,
    kind = 0,
    cookie = session.copied ?? cookieHeader(session.browser),
  ): Promise<void> => {
    const headers = {
      ...forwardedNavigation,
      ...turns[kind % turns.length],
      ...(cookie !== undefined && { Cookie: cookie }),
    }
    const sentAtMs = performance.now()
    const timeUp = new AbortController()
    const late = wait(ANSWERED_WITHIN_MS, undefined, { signal: timeUp.signal })
    const answer = await Promise.race([
      pools[replica.at]?.send({ path: '/auth', headers }),
      late,
    ]).catch(() => undefined)
    timeUp.abort()
    const status = answer ? answer.status : 'none'
    statuses[status] = (statuses[status] ?? 0) + 1
    judge(answer ?? undefined, replica, session, sentAtMs)
    if (session.copied !== undefined) return
    for (const line of answer?.headers['set-cookie'] ?? [])
      session.browser.cookies.set(line, new URL(APP))
  }

  const use = async (person: number, replica: ChaosReplica): Promise<void> => {
    await wait((PAUSE_MS * person) / options.people)
    for (let turn = person; !isOver; turn += 1) {
      const session = options.sessionOf(person)
      if (session) await ask(replica, session, turn)
      await wait(PAUSE_MS)
    }
  }

  const useCopies = async (replica: ChaosReplica): Promise<void> => {
    for (let turn = 0; !isOver; turn += 1) {
      const sinceMs = performance.now() - COPIES_FOR_MS
      const copies = ledger.sessions.filter(({ copied, order, doubt }) => {
        const isRecent = order?.answered !== undefined && order.answered.atMs > sinceMs
        return copied !== undefined && isRecent && doubt === undefined
      })
      const session = copies[turn % Math.max(1, copies.length)]
      if (session) await ask(replica, session, turn)
      await wait(COPY_PAUSE_MS)
    }
  }

  const uses = replicas.flatMap((replica) => [
    ...Array.from({ length: options.people }, (_, person) => use(person, replica)),
    useCopies(replica),
  ])
  return {
    statuses,
    ask,
    stop: async () => {
      isOver = true
      await Promise.all(uses)
    },
    [Symbol.dispose]: () => {
      isOver = true
      for (const pool of pools) pool[Symbol.dispose]()
    },
  }
}
