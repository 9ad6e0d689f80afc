import { setTimeout as wait } from 'node:timers/promises'
import { sendLogoutToken } from '../backchannel-logout.ts'
import { createCookieJar } from '../cookie-jar.ts'
import { askAdmin } from '../operator.ts'
import type { TestProvider } from '../provider.ts'
import { APP } from '../relying-party.ts'
import * as steps from '../sign-in-steps.ts'
import { createVisitor, type Visit, type Visitor } from '../visitor.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { Findings } from './findings.ts'
import type { Ledger, LedgerSession } from './ledger.ts'
import type { Renewals } from './renewals.ts'
import type { Ending, PlannedEnding } from './schedule.ts'
import type { Trouble } from './trouble.ts'

export function subOf(person: number): string {
  return `person-${person}`
}

/** People come from addresses of their own. */
function browserAt(
  { publicPort }: ChaosReplica,
  person: number,
  cookies = createCookieJar(),
): Visitor {
  return createVisitor({
    connectTo: { [new URL(APP).host]: `http://127.0.0.1:${publicPort}` },
    headers: { 'X-Forwarded-For': `203.0.113.${person + 1}` },
    cookies,
  })
}

/** `pending`: the replica has said that it will tell the others. */
type EndingOutcome = 'done' | 'pending' | 'in doubt'

interface AskToEnd {
  readonly provider: TestProvider
  readonly trouble: Trouble
  readonly findings: Findings
  readonly session: LedgerSession
  readonly ending: Ending
  readonly replica: ChaosReplica
}

/** Asks a replica to end a session; what no answer says is in doubt. */
async function askToEnd(asked: AskToEnd): Promise<EndingOutcome> {
  const { trouble, findings, session, replica, ending } = asked
  const sinceMs = performance.now()
  const outcome = await WAYS[ending](asked).catch(() => 'no answer' as const)
  if (outcome === 'done') return outcome
  const nowMs = performance.now()
  const hasReason =
    outcome === 'no answer'
      ? trouble.has('isReplicaAway', replica.at, sinceMs, nowMs)
      : trouble.isUnsure(replica.at, sinceMs, nowMs)
  const detail = `${outcome}`
  if (!hasReason)
    findings.add('an ending was not carried out', { replica: replica.at, session, detail })
  return outcome === 'pending' ? outcome : 'in doubt'
}

/** A status where it was neither carried out nor taken over. */
type Way = (asked: AskToEnd) => Promise<'done' | 'pending' | number>

const signOut: Way = async ({ session, replica }) => {
  const browser = browserAt(replica, session.person, session.browser.cookies)
  const { status, location } = await browser.post(steps.LOGOUT)
  if (status !== 303) return status
  const state = URL.parse(location ?? '')?.searchParams.get('state')
  if (!state) return 'done'
  const page = await browserAt(replica, session.person).get(
    `${APP}/oauth2/signed-out?${new URLSearchParams({ state }).toString()}`,
  )
  if (page.status >= 400) return page.status
  return page.body.includes('cannot reach all our servers right now') ? 'pending' : 'done'
}

const byOperator: Way = async ({ session, replica }) => {
  const query = new URLSearchParams({ user: session.sub }).toString()
  const { status } = await askAdmin(replica, 'DELETE', `sessions?${query}`)
  if (status === 200) return 'done'
  // It says "do it again", and is done without that as well (issue C73).
  return status === 503 ? 'pending' : status
}

async function byProvider(
  { provider, replica }: AskToEnd,
  claims: { readonly sub: string | undefined; readonly sid?: string },
): Promise<'done' | 'pending' | number> {
  const { status, body } = await sendLogoutToken(
    replica.running,
    await provider.mintLogoutToken(claims),
  )
  if (status === 200) return 'done'
  return body.includes('Not every replica could be told yet') ? 'pending' : status
}

const WAYS: Readonly<Record<Ending, Way>> = {
  'sign-out': signOut,
  operator: byOperator,
  'provider sid': (asked) =>
    byProvider(asked, { sub: undefined, sid: asked.session.chain?.sid ?? asked.session.sub }),
  'provider sub': (asked) => byProvider(asked, { sub: asked.session.sub }),
}

/** People who sign in, whose sessions are ended in every way there is, and who sign in again. */
export type People = ReturnType<typeof createPeople>

export interface PeopleOptions extends Omit<AskToEnd, 'session' | 'ending' | 'replica'> {
  readonly replicas: readonly ChaosReplica[]
  readonly ledger: Ledger
  readonly renewals: Renewals
}

const AGAIN_MS = 250
const MAX_STEPS = 12
const PROVIDER_HOST = '127.0.0.1'

export function createPeople(options: PeopleOptions) {
  const { replicas, ledger, renewals, trouble, findings } = options
  const current = new Map<number, LedgerSession>()
  const sids = new Map<number, number>()
  const underWay = new Map<number, string>()
  let isOver = false
  let signIns = 0

  /** A browser whose cookies are those of before, but for what a new try begins with. */
  const nextBrowser = (person: number, replica: ChaosReplica): Visitor => {
    const jar = current.get(person)?.browser.cookies.copy() ?? createCookieJar()
    for (const { name, domain } of jar.all())
      if (name === steps.BINDING_COOKIE || domain === PROVIDER_HOST) jar.remove(name)
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

  const trySignIn = async (browser: Visitor, sub: string, replica: number): Promise<boolean> => {
    const before = browser.cookies.find(steps.SESSION_COOKIE)?.value
    let sinceMs = performance.now()
    let visit = await steps.startLogin(browser)
    for (let step = 0; step < MAX_STEPS; step += 1) {
      judgeStep(visit, replica, sinceMs)
      const now = browser.cookies.find(steps.SESSION_COOKIE)?.value
      if (now !== undefined && now !== before) return true
      sinceMs = performance.now()
      if (visit.location) visit = await browser.get(visit.location)
      else if (visit.body.includes('name="login"'))
        visit = await browser.post(visit.url, { login: sub })
      else return false
    }
    return false
  }

  const signIn = async (person: number, first: number) => {
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
        signIns += 1
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

  const carryOut = async (planned: PlannedEnding) => {
    const { person, ending } = planned
    const session = current.get(person)
    if (!session) return signIn(person, planned.again)
    const replica = replicas[planned.at] as ChaosReplica
    session.copied = steps.cookieHeader(session.browser)
    session.order = {
      ending,
      at: replica.at,
      life: replica.life,
      askedAtMs: performance.now(),
      answered: undefined,
    }
    underWay.set(person, `${session.name}: ${ending} at replica ${replica.at}`)
    const outcome = await askToEnd({ ...options, session, ending, replica })
    if (outcome === 'in doubt') session.doubt = 'nobody can say whether it has ended'
    else session.order.answered = { atMs: performance.now(), outcome }
    if (!planned.keepsProviderSession) sids.set(person, (sids.get(person) ?? 0) + 1)
    await wait(planned.againAfterMs)
    await signIn(person, planned.again)
  }

  const stay = async (person: number, untilMs: number) => {
    while (performance.now() < untilMs && !isOver) {
      if (current.get(person)?.doubt !== undefined) await signIn(person, person)
      await wait(Math.max(0, Math.min(AGAIN_MS, untilMs - performance.now())))
    }
  }

  return {
    sessionOf: (person: number) => current.get(person),
    signIn,
    /** Until then; who cannot be told to be signed in any more signs in again. */
    stay,
    carryOut,
    /** Whoever still tries to sign in gives up. */
    leave: () => {
      isOver = true
    },
    waiting: () => [...underWay.values()],
    signIns: () => signIns,
  }
}
