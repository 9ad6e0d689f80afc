import { setTimeout as wait } from 'node:timers/promises'
import { createCookieJar } from '../cookie-jar.ts'
import { BINDING_COOKIE, cookieHeader, SESSION_COOKIE, startLogin } from '../sign-in-steps.ts'
import type { Visit, Visitor } from '../visitor.ts'
import { browserAt, subOf } from './browser-at.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import { type AskToEnd, askToEnd } from './end-one.ts'
import type { Findings } from './findings.ts'
import type { Ledger, LedgerSession } from './ledger.ts'
import type { Renewals } from './renewals.ts'
import { ENDINGS, type Ending, type PlannedEnding } from './schedule.ts'
import type { Trouble } from './trouble.ts'

/** People who sign in, whose sessions are ended in every way there is, and who sign in again. */
export interface People {
  readonly sessionOf: (person: number) => LedgerSession | undefined
  readonly signIn: (person: number, replica: number) => Promise<void>
  /** Until then; who cannot be told to be signed in any more signs in again. */
  readonly stay: (person: number, untilMs: number) => Promise<void>
  /** Carries an ending out, and the sign-in after it. */
  readonly carryOut: (planned: PlannedEnding) => Promise<void>
  /** Whoever still tries to sign in gives up. */
  readonly leave: () => void
  /** Returns what people are waiting for just now. */
  readonly waiting: () => readonly string[]
  readonly counts: Readonly<Record<Ending | 'sign-in' | 'pending' | 'in doubt', number>>
}

export interface PeopleOptions extends Omit<AskToEnd, 'session' | 'ending' | 'replica'> {
  readonly replicas: readonly ChaosReplica[]
  readonly ledger: Ledger
  readonly renewals: Renewals
  readonly trouble: Trouble
  readonly findings: Findings
}

const AGAIN_MS = 250
const MAX_STEPS = 12
const PROVIDER_HOST = '127.0.0.1'

export function createPeople(options: PeopleOptions): People {
  const { replicas, ledger, renewals, trouble, findings } = options
  const current = new Map<number, LedgerSession>()
  const sids = new Map<number, number>()
  const underWay = new Map<number, string>()
  let isOver = false
  const counts = {
    ...(Object.fromEntries(ENDINGS.map((ending) => [ending, 0])) as Record<Ending, number>),
    'sign-in': 0,
    pending: 0,
    'in doubt': 0,
  }

  /** A browser whose cookies are those of before, but for what a new try begins with. */
  const nextBrowser = (person: number, replica: ChaosReplica): Visitor => {
    const jar = current.get(person)?.browser.cookies.copy() ?? createCookieJar()
    for (const { name, domain } of jar.all())
      if (name === BINDING_COOKIE || domain === PROVIDER_HOST) jar.remove(name)
    return browserAt(replica, person, jar)
  }

  const judgeStep = ({ status, url }: Visit, replica: number, sinceMs: number): void => {
    if (status < 400) return
    const nowMs = performance.now()
    const hasReason =
      trouble.has('isProviderAway', replica, sinceMs, nowMs) ||
      (status === 503 && trouble.isUnsure(replica, sinceMs, nowMs))
    const detail = `${status} at ${url.split('?')[0]}`
    if (!hasReason) findings.add('a sign-in failed', { replica, detail })
  }

  /** The steps of one try, up to the answer at the callback. */
  const trySignIn = async (browser: Visitor, sub: string, replica: number): Promise<boolean> => {
    const before = browser.cookies.find(SESSION_COOKIE)?.value
    let sinceMs = performance.now()
    let visit = await startLogin(browser)
    for (let step = 0; step < MAX_STEPS; step += 1) {
      judgeStep(visit, replica, sinceMs)
      const now = browser.cookies.find(SESSION_COOKIE)?.value
      if (now !== undefined && now !== before) return true
      sinceMs = performance.now()
      if (visit.location) visit = await browser.get(visit.location)
      else if (visit.body.includes('name="login"'))
        visit = await browser.post(visit.url, { login: sub })
      else return false
    }
    return false
  }

  const signIn: People['signIn'] = async (person, first) => {
    const sub = subOf(person)
    underWay.set(person, `${sub} signs in`)
    renewals.setSid(sub, `${sub}/${sids.get(person) ?? 0}`)
    for (let at = first; !isOver; ) {
      const replica = replicas[at % replicas.length] as ChaosReplica
      const browser = nextBrowser(person, replica)
      const sinceMs = performance.now()
      const isIn = await trySignIn(browser, sub, replica.at).catch(() => 'no answer' as const)
      if (isIn === true) {
        const chain = renewals.latestChain(sub)
        current.set(person, ledger.add({ person, sub, browser, chain }))
        counts['sign-in'] += 1
        underWay.delete(person)
        return
      }
      const isAway = (['isReplicaAway', 'isProviderAway'] as const).some((effect) =>
        trouble.has(effect, replica.at, sinceMs, performance.now()),
      )
      if (isIn === 'no answer' && !isAway)
        findings.add('a sign-in had no answer', { replica: replica.at })
      at += 1
      await wait(AGAIN_MS)
    }
  }

  const carryOut: People['carryOut'] = async (planned) => {
    const { person, ending } = planned
    const session = current.get(person)
    if (!session) return signIn(person, planned.again)
    const replica = replicas[planned.at] as ChaosReplica
    session.copied = cookieHeader(session.browser)
    session.order = {
      ending,
      at: replica.at,
      life: replica.life,
      askedAtMs: performance.now(),
      answered: undefined,
    }
    counts[ending] += 1
    underWay.set(person, `${session.name}: ${ending} at replica ${replica.at}`)
    const outcome = await askToEnd({ ...options, session, ending, replica })
    if (outcome === 'in doubt') session.doubt = 'nobody can say whether it has ended'
    else session.order.answered = { atMs: performance.now(), outcome }
    if (outcome !== 'done') counts[outcome] += 1
    if (!planned.keepsProviderSession) sids.set(person, (sids.get(person) ?? 0) + 1)
    await wait(planned.againAfterMs)
    await signIn(person, planned.again)
  }

  const stay: People['stay'] = async (person, untilMs) => {
    while (performance.now() < untilMs && !isOver) {
      if (current.get(person)?.doubt !== undefined) await signIn(person, person)
      await wait(Math.max(0, Math.min(AGAIN_MS, untilMs - performance.now())))
    }
  }

  return {
    sessionOf: (person) => current.get(person),
    signIn,
    stay,
    carryOut,
    leave: () => {
      isOver = true
    },
    waiting: () => [...underWay.values()],
    counts,
  }
}
