import { setTimeout as wait } from 'node:timers/promises'
import { turns } from '../fleet-load.ts'
import { OUTAGE_COOKIE } from '../outage.ts'
import { APP } from '../relying-party.ts'
import { createRequestPool, forwardedNavigation, type PooledAnswer } from '../request-pool.ts'
import { cookieHeader } from '../sign-in-steps.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { Findings } from './findings.ts'
import type { LagLog } from './lag-log.ts'
import type { Ledger, LedgerSession } from './ledger.ts'
import { groupOf, PAGES, type Page, type RuleSets } from './rule-sets.ts'
import type { Effect, Trouble } from './trouble.ts'

export interface ActivityOptions {
  readonly replicas: readonly ChaosReplica[]
  readonly ledger: Ledger
  readonly trouble: Trouble
  readonly lag: LagLog
  readonly ruleSets: RuleSets
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
/** How long a replica that was frozen may go on by the rules of before. */
const LATE_MS = 5000
/** Effects under which a check may be 503: a page for guests needs nothing but a replica that has time. */
const CANNOT_ANSWER: readonly Effect[] = ['isReplicaAway', 'isBusy']
const CANNOT_TELL: readonly Effect[] = ['isReplicaAway', 'isRedisAway']
const NOT_SIGNED_IN = new Set([302, 303, 401])

interface AskedPage {
  readonly replica: number
  readonly session: LedgerSession
  readonly page: Page
  readonly sentAtMs: number
  readonly detail: string
}

/** Starts people who look at the kinds of pages in turns, as pages, scripts and images. */
export function startActivity(options: ActivityOptions) {
  const { replicas, ledger, trouble, findings, ruleSets, lag } = options
  const pools = replicas.map(({ internalPort }) => createRequestPool(internalPort, CONNECTIONS))
  const statuses: Record<string, number> = {}
  let isOver = false

  const judge = (answer: PooledAnswer, asked: AskedPage): void => {
    const { replica, session, page, sentAtMs } = asked
    const { status } = answer
    const nowMs = performance.now()
    const expected = ledger.expect(session, replica, sentAtMs)
    if (status === 200) judgeEntry(answer, asked, expected)
    else if (status === 403) {
      if (permits(asked) === 'yes') findings.add('refused by no set of rules', asked)
    } else if (NOT_SIGNED_IN.has(status) && page.kind !== 'guests') {
      if (expected === 'in') findRefused('refused as not signed in', asked)
    } else if (status === 503) {
      const effects = page.kind === 'guests' ? CANNOT_ANSWER : CANNOT_TELL
      const hasReason = effects.some((effect) => trouble.has(effect, replica, sentAtMs, nowMs))
      if (!hasReason) findings.add('503 without a fault', asked)
    } else findings.add(`status ${status}`, asked)
    for (const line of answer.headers['set-cookie'] ?? []) {
      const isAssertion = status === 200 && line.startsWith(`${OUTAGE_COOKIE}=`)
      if (!isAssertion)
        findings.add('a check set a cookie', { ...asked, detail: line.slice(0, 40) })
    }
  }

  const judgeEntry = (
    { headers }: PooledAnswer,
    asked: AskedPage,
    expected: ReturnType<Ledger['expect']>,
  ): void => {
    const { replica, session, page, sentAtMs } = asked
    const named = headers['x-auth-request-user']
    if (page.kind === 'guests' && named === '') {
      const isUnsure = trouble.isUnsure(replica, sentAtMs, performance.now())
      if (expected === 'in' && !isUnsure) findRefused('taken for a guest', asked)
      return
    }
    if (named !== session.sub)
      findings.add('somebody else', { ...asked, detail: `named ${String(named)}` })
    if (expected === 'out') findings.add('let in after the end', asked)
    if (permits(asked) === 'no') findings.add('let in by no set of rules', asked)
  }

  const findRefused = (what: string, asked: AskedPage): void => {
    findings.add(what, asked)
    asked.session.doubt = 'it was refused, which has been told'
  }

  /** Returns whether the rules permit the page; `either` where they have been swapped, or the replica may not know yet. */
  const permits = ({ replica, session, page, sentAtMs }: AskedPage): 'yes' | 'no' | 'either' => {
    if (page.kind === 'nobody') return 'no'
    if (page.kind !== 'half') return 'yes'
    const nowMs = performance.now()
    const inForce = ruleSets.inForce(sentAtMs, nowMs, lag)
    const isLate = trouble.has('isReplicaAway', replica, sentAtMs - LATE_MS, nowMs)
    if (inForce.size > 1 || isLate) return 'either'
    return inForce.has(groupOf(session.person)) ? 'yes' : 'no'
  }

  const ask = async (
    replica: ChaosReplica,
    session: LedgerSession,
    kind = 0,
    cookie = session.copied ?? cookieHeader(session.browser),
  ): Promise<void> => {
    const page = PAGES[kind % PAGES.length] ?? PAGES[0]
    const headers = {
      ...forwardedNavigation,
      'X-Forwarded-Uri': page.uri,
      ...turns[kind % turns.length],
      ...(cookie !== undefined && { Cookie: cookie }),
    }
    const sentAtMs = performance.now()
    const timeUp = new AbortController()
    const late = wait(ANSWERED_WITHIN_MS, undefined, { signal: timeUp.signal })
    const answer = await Promise.race([
      pools[replica.at]?.send({ path: page.address, headers }),
      late,
    ]).catch(() => undefined)
    timeUp.abort()
    const status = answer ? answer.status : 'none'
    statuses[status] = (statuses[status] ?? 0) + 1
    const asked = { replica: replica.at, session, page, sentAtMs, detail: page.kind }
    if (answer) judge(answer, asked)
    else if (!trouble.has('isReplicaAway', replica.at, sentAtMs, performance.now()))
      findings.add('no answer', asked)
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
