import type { IncomingMessage } from 'node:http'
import { streamSSE } from 'hono/streaming'
import { isEventId } from '../../core/event-id.ts'
import type { SessionCredential } from '../../core/session.ts'
import type { Site, Sites } from '../../core/site.ts'
import { AuthError, invalidRequest } from '../../errors.ts'
import type { OpenStreamOptions, Streams } from '../../events/streams.ts'
import type { Addresses } from '../../http/addresses.ts'
import { answer, type HeaderList, json, plain } from '../../http/answers.ts'
import type { Cookies } from '../../http/cookies.ts'
import { type NodeContext, requestIdOf } from '../../http/request.ts'
import { sessionDigest } from '../../session/records.ts'
import type { Sessions } from '../../session/sessions.ts'
import { createCrossOrigin } from './cross-origin.ts'
import { createStreamOutput } from './stream-output.ts'

export interface EventsOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly protectedSites: Sites
  readonly sessions: Pick<Sessions, 'find' | 'endReasonOf' | 'revocations'>
  readonly realmOf: (host: string) => string
  readonly streams: Pick<Streams, 'open' | 'forget'>
}

/** Headers of a stream. Proxies neither keep, compress nor gather it, and its connection ends with it. */
const HEADERS: HeaderList = [
  ['Content-Type', 'text/event-stream'],
  ['Cache-Control', 'no-store, no-transform'],
  ['X-Accel-Buffering', 'no'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Vary', 'Cookie, Authorization'],
  ['Connection', 'close'],
]

/** Serves `BASE_PATH/events`: the stream of events about a session (`GET`), and its preflight (`OPTIONS`). */
export function createEvents(options: EventsOptions) {
  const { addresses, cookies, sessions, realmOf, streams } = options
  const crossOrigin = createCrossOrigin(options.protectedSites)

  async function events(c: NodeContext): Promise<Response> {
    const raw = c.env.incoming
    const site = c.get('site')
    const page = crossOrigin.pageOf(raw, site)
    if (hasBody(raw)) throw invalidRequest('A request for events has no body.')
    const credential = cookies.readSession(raw, site)
    if (!credential || credential === 'ambiguous') return unauthenticated(raw, site, undefined)
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found = await sessions.find(credential, realmOf(site.host), { standIn, isUse: false })
    if (!found) return unauthenticated(raw, site, credential)
    // A client that left meanwhile would not be forgotten, because its connection closes only once.
    if (c.env.outgoing.closed) return plain(204)
    if (raw.method === 'HEAD') return answer(200, null, HEADERS)
    return openStream(c, {
      digest: sessionDigest(credential),
      session: found.session,
      host: page.host,
      lastEventId: lastEventIdOf(raw),
      reasonFor: (digest, session) => sessions.revocations.reasonFor(digest, session),
    })
  }

  function openStream(c: NodeContext, wanted: Omit<OpenStreamOptions, 'output'>): Response {
    const { outgoing } = c.env
    const { output, hold } = createStreamOutput(outgoing)
    // Passes no function of this scope, which would keep the claims of the session as long as the stream.
    const response = streamSSE(c, hold)
    if (!streams.open({ ...wanted, output })) {
      output.end()
      throw tooMany()
    }
    outgoing.once('close', () => {
      streams.forget(output)
      output.end()
    })
    forgetHeaders(c.env.incoming)
    for (const [name, value] of HEADERS) response.headers.set(name, value)
    return response
  }

  async function unauthenticated(
    raw: IncomingMessage,
    site: Site,
    credential: SessionCredential | undefined,
  ): Promise<Response> {
    const reason = credential && (await sessions.endReasonOf(credential))
    const body = {
      error: 'login_required',
      login_url: addresses.login(site, addresses.landing(site)),
      ...(reason && { reason }),
    }
    return json(401, body, requestIdOf(raw), [['WWW-Authenticate', `Bearer realm="${site.host}"`]])
  }

  return { events, eventsPreflight: crossOrigin.preflight, shareEvents: crossOrigin.share }
}

function tooMany(): AuthError {
  const explanation =
    'streams to open pages are bounded by the heap and by 10,000: raise --max-old-space-size in NODE_OPTIONS or add replicas'
  return new AuthError('busy', 'this replica has as many streams as it may', {
    facts: { explanation },
  })
}

/** Frees the request's headers, the cookie of the session among them, which Node would keep as long as the stream. */
function forgetHeaders({ headers, rawHeaders }: IncomingMessage): void {
  rawHeaders.length = 0
  for (const name of Object.keys(headers)) Reflect.deleteProperty(headers, name)
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** Returns `undefined` for a text that is no identifier, which harms nobody but its sender. */
function lastEventIdOf({ headers }: IncomingMessage): string | undefined {
  const given = headers['last-event-id']
  return typeof given === 'string' && isEventId(given) ? given : undefined
}
