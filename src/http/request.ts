import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { Site } from '../core/site.ts'
import { AuthError, type AuthErrorCode } from '../errors.ts'

/** Node's response; `counted` receives the status that is actually sent, by which checks are counted (finding C10). */
export type Outgoing = ServerResponse & { counted?: Counted | undefined }

/**
 * Record of a check that is counted later. Not a closure, because one keeps the request alive until the next full garbage
 * collection: measured in memory mode, 10 % of the check's CPU instead of 1 %.
 */
export interface Counted {
  countAs(status: number): void
}

/**
 * Environment of every handler: Node's request and response, and variables set by earlier steps. Over HTTP/2 both are Node's
 * compatibility classes, which have the members that are read here; `connectionOf` and `socketOf` know the difference.
 */
export interface NodeEnv {
  Bindings: { incoming: IncomingMessage; outgoing: Outgoing }
  Variables: {
    /** Site of a request to the public listener. */
    site: Site
    /** Page that the visitor asked for, for the links of error pages. */
    target?: string
    /** Address that the page of a failed sign-in loads by itself, once. */
    retryUrl?: string
    /** Address of a new login, which pages load instead of a request whose code is spent (finding C22). */
    newLoginUrl?: string
  }
}

export type NodeContext = Context<NodeEnv>

/** Returns the path of the request as sent, not decoded. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

const made = new WeakMap<object, string>()

/** Returns Traefik's `X-Request-Id` where it is safe to show and log, else a random one that stays with the request. */
export function requestIdOf(raw: Pick<IncomingMessage, 'headers'>): string {
  const given = raw.headers['x-request-id']
  if (typeof given === 'string' && /^[A-Za-z0-9._-]{8,64}$/.test(given)) return given
  return made.getOrInsertComputed(raw, () => randomUUID())
}

/** Returns the `traceparent` of a request (W3C Trace Context) for the log, or an empty object. */
export function traceOf({ headers }: IncomingMessage): { traceparent?: string } {
  const given = headers['traceparent']
  return typeof given === 'string' && /^[0-9a-f-]{55}$/.test(given) ? { traceparent: given } : {}
}

const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

/** Returns whether the body is a form, whatever parameters its media type has (RFC 9110 section 8.3.1). */
export function isForm({ headers }: IncomingMessage): boolean {
  return FORM.test(headers['content-type'] ?? '')
}

/** Returns a query parameter that may occur once (threats A47, A55). */
export function singleQuery(
  c: NodeContext,
  name: string,
  code: AuthErrorCode = 'invalid_request',
): string | undefined {
  const values = c.req.queries(name) ?? []
  if (values.length > 1) {
    throw new AuthError(code, `The parameter ${name} was sent more than once.`, { isPublic: true })
  }
  return values[0]
}
