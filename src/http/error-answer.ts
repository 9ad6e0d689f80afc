import type { IncomingMessage } from 'node:http'
import { isReadByPerson } from '../core/authorization.ts'
import { classify } from '../core/request-class.ts'
import { scanHeaders } from '../core/sent-headers.ts'
import type { Site } from '../core/site.ts'
import { AuthError, type AuthErrorCode } from '../errors.ts'
import { describeCause, whereThrown } from '../telemetry/describe-cause.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Addresses } from './addresses.ts'
import { type HeaderList, json, plain } from './answers.ts'
import { errorPage } from './error-page.ts'
import { RETRY_SECONDS } from './pages/sign-in-pages.ts'
import { requestIdOf, traceOf } from './request.ts'
import { createThrottle } from './throttle.ts'
import { peerAddress } from './trusted-proxies.ts'
import type { PageWriter } from './write-page.ts'

/** Facts about a request whose answer is an error. */
export interface RefusedRequest {
  readonly raw: IncomingMessage
  /** Method of the visitor's request; on the check the forwarded one. */
  readonly method: string
  readonly site: Site | undefined
  readonly target: string | undefined
  readonly retryUrl: string | undefined
  readonly newLoginUrl: string | undefined
}

export interface RefusalOptions {
  readonly addresses: Addresses
  /** Returns the visitor's address for the log, or `undefined` where no trusted proxy names it. */
  readonly clientOf: (raw: IncomingMessage) => string | undefined
  readonly writePage: PageWriter
  readonly log: Log
  readonly metrics: Metrics
}

/** Answers with an error, a page for a person and JSON for a program, without internal details. */
export type Refuse = (
  error: unknown,
  status: number,
  request: RefusedRequest,
) => Response | Promise<Response>

/** Creates the one function that answers an error, counts it and logs it. */
export function createRefusals({
  addresses,
  clientOf,
  writePage,
  log,
  metrics,
}: RefusalOptions): Refuse {
  const sayOutage = createThrottle(OUTAGE_PAUSE_MS)
  return (thrown, status, request) => {
    if (hasLeft(thrown, request.raw)) return dropped(thrown, request.raw)
    const error =
      thrown instanceof AuthError
        ? thrown
        : new AuthError('internal', 'an unexpected error', { cause: thrown })
    const { raw, method } = request
    const requestId = requestIdOf(raw)
    count(error)
    report(error, status, request, requestId)
    const extra = headersOf(status)
    const headers = scanHeaders(raw.rawHeaders)
    const requestClass = classify(headers, method)
    if (isReadByPerson(headers, requestClass)) {
      const mayReload = requestClass === 'navigation'
      const content = errorPage(error, { ...linksOf(request), mayReload })
      return writePage(status, content, requestId, extra)
    }
    const message = error.isPublic ? { message: error.message } : {}
    return json(status, { error: error.code, ...message, request_id: requestId }, requestId, extra)
  }

  function linksOf({ site, target, retryUrl, newLoginUrl }: RefusedRequest) {
    if (!site) return { retryUrl, newLoginUrl }
    const wanted = target ?? addresses.landing(site)
    const loginUrl = addresses.login(site, wanted)
    const switchUserUrl = addresses.login(site, wanted, { prompt: 'login' })
    return { loginUrl, switchUserUrl, retryUrl, newLoginUrl }
  }

  /** Answers a connection that is gone, which nobody reads; a client that leaves is no fault of ours (finding C46). */
  function dropped(cause: unknown, raw: IncomingMessage): Response {
    const fields = { event: 'client_left', request_id: requestIdOf(raw), ...traceOf(raw) }
    log.debug(
      { ...fields, cause: describeCause(cause) },
      'a client left before its request was read',
    )
    return plain(400)
  }

  function count({ code }: AuthError): void {
    if (code === 'alias_header') metrics.aliasRefused()
    if (code === 'foreign_host') metrics.foreignHostRefused()
    if (REFUSED_SIGN_INS.has(code)) metrics.signIn('refused')
  }

  function report(
    error: AuthError,
    status: number,
    { raw, site }: RefusedRequest,
    requestId: string,
  ): void {
    const suppressed = MANY_AT_ONCE.has(error.code) ? sayOutage() : 0
    if (suppressed === undefined) return
    const client = clientOf(raw)
    const fields = {
      event: 'refused',
      code: error.code,
      status,
      reason: error.message,
      ...error.facts,
      ...(site && { host: site.host }),
      ...(client !== undefined && { client }),
      ...(suppressed > 0 && { suppressed }),
      request_id: requestId,
      ...traceOf(raw),
      ...(error.cause !== undefined && { cause: describeCause(error.cause) }),
    }
    if (error.code === 'internal') {
      const fault = { ...fields, ...whereThrown(error.cause) }
      log.error(fault, 'a request failed because of an unexpected error')
    } else log.warn(fields, 'a request was refused')
  }
}

/** Codes that forged, late and cancelled callbacks get; the callback itself counts all others. */
const REFUSED_SIGN_INS: ReadonlySet<AuthErrorCode> = new Set(['sign_in_failed', 'access_denied'])

/** Codes that every request gets during an outage, so their log lines are throttled. */
const MANY_AT_ONCE: ReadonlySet<AuthErrorCode> = new Set(['store_unavailable', 'busy'])
/** Pause between two log lines about an outage; each has the number of suppressed ones. */
const OUTAGE_PAUSE_MS = 1000

/** Returns whether the connection ended in the middle of the request's body, or before anything was read of it. */
function hasLeft(thrown: unknown, raw: IncomingMessage): boolean {
  if (!(thrown instanceof AuthError)) return raw.readableAborted && !raw.complete
  return thrown.code === 'untrusted_peer' && peerAddress(raw) === ''
}

/** Registered methods that are most in use; any other but TRACE and CONNECT is allowed too. */
const COMMON_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY'

function headersOf(status: number): HeaderList {
  switch (status) {
    case 405:
      return [['Allow', COMMON_METHODS]]
    case 503:
      return [['Retry-After', String(RETRY_SECONDS)]]
    default:
      return []
  }
}
