import { AuthError, invalidRequest } from '../../errors.ts'
import { type HeaderList, json, plain } from '../../http/answers.ts'
import { RETRY_SECONDS } from '../../http/pages/pages.ts'
import { isForm, type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import type { LogoutToken, VerifyLogoutToken } from '../../oidc/logout-token.ts'
import type { ProviderLogout, ProviderLogoutResult } from '../../session/provider-logout.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface BackchannelLogoutOptions {
  readonly verifyLogoutToken: VerifyLogoutToken
  readonly endAsAtProvider: ProviderLogout
  readonly log: Log
  readonly metrics: Metrics
}

/** What tells one request from the others in the log. */
interface Trace {
  readonly request_id: string
  readonly traceparent?: string
}

const RETRY: HeaderList = [['Retry-After', String(RETRY_SECONDS)]]

/**
 * `POST BASE_PATH/backchannel-logout`: the provider, and no browser, says what has ended there (OpenID Connect
 * Back-Channel Logout 1.0). 200 means that it has ended on every replica; all else is 400 (section 2.8).
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
      'the provider said that sessions have ended; without their cookies their tokens cannot be revoked there',
    )
  }

  function refuse({ code, message }: AuthError, trace: Trace): Response {
    const isAboutToken = code === 'invalid_request'
    metrics.backchannelLogout(isAboutToken ? 'refused' : 'failed')
    log.warn(
      { event: 'backchannel_logout_refused', code, reason: message, ...trace },
      'a logout of the provider was not carried out',
    )
    return isAboutToken
      ? badRequest(message, trace)
      : badRequest('The logout could not be carried out just now.', trace, RETRY)
  }
}

/** The one parameter that counts; all others are ignored (section 2.5). */
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
