import { AuthError, invalidRequest } from '../../errors.ts'
import { type HeaderList, json, plain } from '../../http/answers.ts'
import { RETRY_SECONDS } from '../../http/pages/sign-in-pages.ts'
import { isForm, type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import type { LogoutToken, VerifyLogoutToken } from '../../oidc/tokens/logout-token.ts'
import type { ProviderLogout, ProviderLogoutResult } from '../../session/provider-logout.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface BackchannelLogoutOptions {
  readonly verifyLogoutToken: VerifyLogoutToken
  readonly endAsAtProvider: ProviderLogout
  readonly log: Log
  readonly metrics: Metrics
}

/** Log fields that identify a request. */
interface Trace {
  readonly request_id: string
  readonly traceparent?: string
}

const RETRY: HeaderList = [['Retry-After', String(RETRY_SECONDS)]]

/**
 * Serves `POST BASE_PATH/backchannel-logout`, which the provider calls (OpenID Connect Back-Channel Logout 1.0). Answers
 * 200 when the sessions have ended on every replica, else 400 (section 2.8).
 */
export function createBackchannelLogout(options: BackchannelLogoutOptions) {
  const { verifyLogoutToken, endAsAtProvider, log, metrics } = options

  return async function backchannelLogout(c: NodeContext): Promise<Response> {
    const raw = c.env.incoming
    if (!isForm(raw)) return plain(415)
    const trace = { request_id: requestIdOf(raw), ...traceOf(raw) }
    try {
      const token = await verifyLogoutToken(parseBody(await c.req.text()))
      const result = await endAsAtProvider(token)
      report(token, result, trace)
      return answerTo(result, trace)
    } catch (error) {
      if (!(error instanceof AuthError)) throw error
      return refuse(error, trace)
    }
  }

  function report(
    { issuer, ended: { subject, sid } }: LogoutToken,
    result: ProviderLogoutResult,
    trace: Trace,
  ): void {
    metrics.backchannelLogout(result.outcome)
    if (result.outcome === 'replayed') metrics.replayRefused('logout-token')
    log.info(
      {
        event: 'backchannel_logout',
        ...result,
        scope: sid === undefined ? 'user' : 'provider_session',
        ...(subject !== undefined && { user: userDigest(issuer, subject) }),
        ...trace,
      },
      'the provider ended sessions; their tokens were not revoked, because only the cookie decrypts them',
    )
  }

  function refuse({ code, message, facts }: AuthError, trace: Trace): Response {
    const isAboutToken = code === 'invalid_request'
    metrics.backchannelLogout(isAboutToken ? 'refused' : 'failed')
    log.warn(
      { event: 'backchannel_logout_refused', code, reason: message, ...facts, ...trace },
      'a back-channel logout of the provider was refused',
    )
    return isAboutToken
      ? badRequest(message, trace)
      : badRequest('The logout failed for now; send it again.', trace, RETRY)
  }
}

/** Returns the only `logout_token`; other parameters are ignored (section 2.5). */
function parseBody(body: string): string {
  const [token, ...more] = new URLSearchParams(body).getAll('logout_token')
  if (token !== undefined && more.length === 0) return token
  throw invalidRequest('The request must have exactly one logout_token.')
}

function answerTo({ outcome }: ProviderLogoutResult, trace: Trace): Response {
  switch (outcome) {
    case 'done':
      return plain(200)
    case 'deferred':
      return badRequest('Not every replica could be told yet; send it again.', trace, RETRY)
    case 'replayed':
      return badRequest('The logout token has been used before.', trace)
  }
}

function badRequest(description: string, trace: Trace, extra: HeaderList = []): Response {
  const body = { error: 'invalid_request', error_description: description }
  return json(400, body, trace.request_id, extra)
}
