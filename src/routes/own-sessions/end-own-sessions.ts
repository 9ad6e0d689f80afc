import { AuthError, storeFailureAs } from '../../errors.ts'
import type { Addresses } from '../../http/addresses.ts'
import { json, plain, redirect, settingCookies } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import { noSuchSessionPage } from '../../http/pages/sessions-page.ts'
import { isForm, type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import type { PageWriter } from '../../http/write-page.ts'
import type { StandIn } from '../../session/find-session.ts'
import type { Sessions } from '../../session/sessions.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { LogoutIntent } from '../sign-out/logout-intent.ts'
import { type Caller, VARY, wantsPage } from './caller.ts'
import { parseEndRequest } from './end-request.ts'
import type { Notices } from './notices.ts'

export interface EndOwnSessionsOptions {
  readonly addresses: Addresses
  readonly cookies: Pick<Cookies, 'readOutage'>
  readonly sessions: Pick<Sessions, 'own'>
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Pick<Metrics, 'sessionsEndedByUser'>
  readonly findCaller: (c: NodeContext, standIn?: StandIn) => Promise<Caller | Response>
  readonly intent: LogoutIntent
  readonly notices: Notices
  /** Answers with the list, and asks before all others end where that was wanted. */
  readonly showPage: (c: NodeContext, caller: Caller, isAsking: boolean) => Promise<Response>
  /** Signs out here, without the provider, and redirects to the signed-out page. */
  readonly signOutHere: (c: NodeContext) => Promise<Response>
}

const unfinished = storeFailureAs(
  'We cannot reach all our servers right now, so that some sessions may not have ended. Look at your sessions again in a moment.',
)

/** Serves `POST BASE_PATH/sessions`, by which people end one of their sessions, or all but the current one. */
export function createEndOwnSessions(options: EndOwnSessionsOptions) {
  const { addresses, cookies, sessions, intent, log, metrics } = options

  return async function endOwnSessions(c: NodeContext): Promise<Response> {
    const raw = c.env.incoming
    const site = c.get('site')
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const caller = await options.findCaller(c, standIn).catch(unfinished)
    if (caller instanceof Response) return caller
    const form = isForm(raw) ? new URLSearchParams(await c.req.text()) : undefined
    const token = form?.get('token') ?? undefined
    if (!intent.isIntended(raw, site, caller.credential, token)) {
      return refuseForeign(c, caller, form?.has('others') === true)
    }
    if (!form) return plain(415)
    const asked = parseEndRequest(form)
    if (asked.kind === 'others') return endOthers(c, caller)
    return asked.digest === caller.digest ? signOut(c) : endOne(c, caller, asked.digest)
  }

  /** Ends nothing for a request that another site may have caused (threat A67). */
  function refuseForeign(c: NodeContext, caller: Caller, isAboutOthers: boolean) {
    if (wantsPage(c)) return options.showPage(c, caller, isAboutOthers)
    throw new AuthError(
      'foreign_origin',
      'Sessions are ended from a page of this site only: send its Origin, or the token of the page.',
      { isPublic: true },
    )
  }

  async function signOut(c: NodeContext): Promise<Response> {
    const answer = await options.signOutHere(c)
    if (wantsPage(c)) return answer
    const cleared = settingCookies(...answer.headers.getSetCookie())
    return json(200, { ended: 1 }, requestIdOf(c.env.incoming), [...cleared, ...VARY])
  }

  async function endOne(c: NodeContext, caller: Caller, digest: string): Promise<Response> {
    if (await sessions.own.end(caller, digest).catch(unfinished)) return tell(c, caller, 1)
    const requestId = requestIdOf(c.env.incoming)
    if (!wantsPage(c)) {
      const body = { error: 'not_found', message: 'You have no such session.' }
      return json(404, body, requestId, VARY)
    }
    const page = noSuchSessionPage(addresses.sessions(c.get('site')))
    return options.writePage(404, page, requestId, VARY)
  }

  async function endOthers(c: NodeContext, caller: Caller): Promise<Response> {
    const { count, failure } = await sessions.own.endOthers(caller).catch(unfinished)
    if (failure === undefined) return tell(c, caller, count)
    if (count > 0) report(c, caller, count)
    return unfinished(failure)
  }

  function tell(c: NodeContext, caller: Caller, count: number): Response {
    report(c, caller, count)
    if (!wantsPage(c)) return json(200, { ended: count }, requestIdOf(c.env.incoming), VARY)
    const notice = options.notices.seal(count, caller.digest)
    return redirect(303, `${addresses.sessions(c.get('site'))}?notice=${notice}`, VARY)
  }

  function report(c: NodeContext, { session }: Caller, count: number): void {
    const raw = c.env.incoming
    const { issuer, subject } = session.identity
    metrics.sessionsEndedByUser(count)
    log.info(
      {
        event: 'sessions_ended_by_user',
        count,
        user: userDigest(issuer, subject),
        tokens_revoked: false,
        host: c.get('site').host,
        request_id: requestIdOf(raw),
        ...traceOf(raw),
      },
      'a user ended other sessions of theirs; their tokens were not revoked at the provider',
    )
  }
}
