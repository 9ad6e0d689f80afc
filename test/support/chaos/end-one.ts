import { sendLogoutToken } from '../backchannel-logout.ts'
import { askAdmin } from '../operator.ts'
import type { TestProvider } from '../provider.ts'
import { APP } from '../relying-party.ts'
import { LOGOUT } from '../sign-in-steps.ts'
import { browserAt } from './browser-at.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { Findings } from './findings.ts'
import type { LedgerSession } from './ledger.ts'
import type { Ending } from './schedule.ts'
import type { Trouble } from './trouble.ts'

/** `pending`: the replica has said that it will tell the others. */
export type EndingOutcome = 'done' | 'pending' | 'in doubt'

export interface AskToEnd {
  readonly provider: TestProvider
  readonly trouble: Trouble
  readonly findings: Findings
  readonly session: LedgerSession
  readonly ending: Ending
  readonly replica: ChaosReplica
}

/** Asks a replica to end a session; what no answer says is in doubt. */
export async function askToEnd(asked: AskToEnd): Promise<EndingOutcome> {
  const { trouble, findings, session, replica, ending } = asked
  const sinceMs = performance.now()
  const outcome = await WAYS[ending](asked).catch(() => 'no answer' as const)
  if (outcome === 'done') return outcome
  const nowMs = performance.now()
  const hasReason =
    outcome === 'no answer'
      ? trouble.has('isReplicaAway', replica.at, sinceMs, nowMs)
      : trouble.isUnsure(replica.at, sinceMs, nowMs)
  if (!hasReason) {
    findings.add('an ending was not carried out', {
      replica: replica.at,
      session,
      detail: `${outcome}`,
    })
  }
  return outcome === 'pending' ? outcome : 'in doubt'
}

/** A status where it was neither carried out nor taken over. */
type Way = (asked: AskToEnd) => Promise<'done' | 'pending' | number>

const signOut: Way = async ({ session, replica }) => {
  const browser = browserAt(replica, session.person, session.browser.cookies)
  const { status, location } = await browser.post(LOGOUT)
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
