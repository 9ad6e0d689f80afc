import { type IncomingMessage, request as openPlain } from 'node:http'
import { request as openTls } from 'node:https'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type CookieJar, createCookieJar } from './cookie-jar.ts'
import { type Form, parseForm } from './html-form.ts'
import { openHttp2, type StreamAnswer, type StreamRequest } from './http2-client.ts'

/** Values as sent, spelling and duplicates included; `undefined` takes a default header away. */
export type VisitHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

export interface VisitOptions {
  readonly headers?: VisitHeaders
  readonly body?: string
  readonly signal?: AbortSignal
  /** Sends `Sec-Fetch-Site: cross-site`, and only those cookies that SameSite allows. */
  readonly crossSite?: boolean
  /** The request target byte for byte, where a URL would normalise it. */
  readonly target?: string
  /** Asks over HTTP/2, each time by a connection of its own. */
  readonly isHttp2?: boolean
}

export interface Visit {
  readonly method: string
  readonly url: string
  readonly status: number
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly setCookies: readonly string[]
  /** Cookies that the jar refused, with the reason. */
  readonly refusedCookies: readonly string[]
  readonly location: string | undefined
  readonly body: string
  readonly sentCookie: string | undefined
}

export interface VisitorOptions {
  /** Real address by host: `{'app.example.com': proxy.origin}`; all others are on loopback at their port. */
  readonly connectTo?: Readonly<Record<string, string>>
  readonly headers?: VisitHeaders
  readonly cookies?: CookieJar
}

export interface Visitor {
  readonly cookies: CookieJar
  /** Every request so far, in order. */
  readonly trail: readonly Visit[]
  /** One navigation, no redirect followed. */
  readonly get: (url: string, options?: VisitOptions) => Promise<Visit>
  /** One same-origin form post, no redirect followed. */
  readonly post: (url: string, form?: Form, options?: VisitOptions) => Promise<Visit>
  /** Requests a URL with the headers of a script's `fetch`. */
  readonly fetch: (url: string, options?: VisitOptions & { method?: string }) => Promise<Visit>
  readonly request: (method: string, url: string, options?: VisitOptions) => Promise<Visit>
  /** A navigation with all its redirects; ends at the first answer that is none. */
  readonly browse: (url: string, options?: VisitOptions) => Promise<Visit>
  readonly follow: (visit: Visit) => Promise<Visit>
  /** Submits the only or first form of a page, hidden fields included, and follows redirects. */
  readonly submit: (visit: Visit, fields?: Form) => Promise<Visit>
  /** Protected URL → sign-in → provider → callback → target; returns the last answer. */
  readonly signIn: (url: string, sub: string) => Promise<Visit>
  readonly copy: () => Visitor
}

const MAX_REDIRECTS = 15
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** A person's browser as far as HTTP goes: cookies, redirects, forms, navigation headers. */
export const createVisitor = (options: VisitorOptions = {}): Visitor => {
  const cookies = options.cookies ?? createCookieJar()
  const trail: Visit[] = []

  const request: Visitor['request'] = async (method, url, visit = {}) => {
    const parsed = new URL(url)
    const topLevel = (visit.headers?.['Sec-Fetch-Mode'] ?? 'navigate') === 'navigate'
    const { crossSite = false } = visit
    const sent = mergeHeaders(
      {
        Host: parsed.host,
        ...navigationHeaders,
        Cookie: cookies.header(parsed, { method, topLevel, crossSite }),
      },
      crossSite ? { 'Sec-Fetch-Site': 'cross-site' } : {},
      options.headers ?? {},
      visit.headers ?? {},
    )
    const asked = { ...visit, method, headers: [...sent.values()].flat() }
    const message = await send(parsed, asked, options.connectTo ?? {})
    const body = (await buffer(message)).toString('utf8')
    const { rawHeaders, headers, statusCode: status = 0 } = message
    const { location, 'set-cookie': setCookies = [] } = headers
    const made: Visit = {
      method,
      url,
      status,
      rawHeaders,
      headers,
      setCookies,
      refusedCookies: setCookies.flatMap((line) => {
        const reason = cookies.set(line, parsed)
        return reason ? `${line} (${reason})` : []
      }),
      location: location && URL.canParse(location, url) ? new URL(location, url).href : location,
      body,
      sentCookie: sent.get('cookie')?.[1],
    }
    trail.push(made)
    return made
  }

  const get: Visitor['get'] = (url, visit) => request('GET', url, visit)

  const post: Visitor['post'] = (url, form = {}, visit = {}) =>
    request('POST', url, {
      body: new URLSearchParams(form).toString(),
      ...visit,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        Origin: new URL(url).origin,
        'Sec-Fetch-Site': 'same-origin',
        ...visit.headers,
      },
    })

  const fetchLikeScript: Visitor['fetch'] = (url, { method = 'GET', ...visit } = {}) =>
    request(method, url, { ...visit, headers: { ...scriptHeaders, ...visit.headers } })

  const follow: Visitor['follow'] = async (visit) => {
    let last = visit
    for (let hops = 0; REDIRECTS.has(last.status) && last.location; hops += 1) {
      if (hops === MAX_REDIRECTS) throw new Error(`redirects without end:\n${describeTrail(trail)}`)
      const keepsMethod = last.status >= 307 && last.method !== 'GET'
      if (keepsMethod) throw new Error(`${last.status} for ${last.method} is not followed here`)
      last = await get(last.location)
    }
    return last
  }

  const browse: Visitor['browse'] = async (url, visit) => follow(await get(url, visit))

  const submit: Visitor['submit'] = async (visit, fields = {}) => {
    const form = parseForm(visit.body, visit.url)
    if (!form) throw new Error(`no form at ${visit.url} (${visit.status}):\n${visit.body}`)
    return follow(await post(form.action, { ...form.hidden, ...fields }))
  }

  const signIn: Visitor['signIn'] = async (url, sub) => {
    const page = await browse(url)
    if (!page.body.includes('name="login"')) return page
    return submit(page, { login: sub })
  }

  const copy = () => createVisitor({ ...options, cookies: cookies.copy() })
  const steps = { get, post, fetch: fetchLikeScript, request, browse, follow, submit, signIn }
  return { cookies, trail, ...steps, copy }
}

/** For failure messages: each step's method, URL and status. */
export const describeTrail = (trail: readonly Visit[]): string =>
  trail.map(({ method, url, status }) => `${method} ${url} → ${status}`).join('\n')

const navigationHeaders: VisitHeaders = {
  'User-Agent': 'Mozilla/5.0 (visitor)',
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language': 'en',
  'Sec-Fetch-Site': 'none',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-User': '?1',
  'Sec-Fetch-Dest': 'document',
  'Upgrade-Insecure-Requests': '1',
}

const scriptHeaders: VisitHeaders = {
  Accept: '*/*',
  'Sec-Fetch-Site': 'same-origin',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
  'Sec-Fetch-User': undefined,
  'Upgrade-Insecure-Requests': undefined,
}

/** Later sets win over earlier ones, whatever the spelling; the later spelling is sent. */
const mergeHeaders = (...sets: readonly VisitHeaders[]) => {
  const merged = new Map<string, readonly string[]>()
  for (const [name, value] of sets.flatMap((set) => Object.entries(set))) {
    const values = value === undefined ? [] : [value].flat()
    merged.set(
      name.toLowerCase(),
      values.flatMap((each) => [name, each]),
    )
  }
  return merged
}

const send = (
  url: URL,
  visit: Omit<VisitOptions, 'headers'> & { method: string; headers: readonly string[] },
  connectTo: Readonly<Record<string, string>>,
): Promise<IncomingMessage | StreamAnswer> => {
  const reached = new URL(connectTo[url.host] ?? connectTo[url.hostname] ?? loopback(url))
  const path = visit.target ?? url.pathname + url.search
  if (visit.isHttp2) return sendOverHttp2(Number(reached.port), { ...visit, path })
  const open = reached.protocol === 'https:' ? openTls : openPlain
  const answered = Promise.withResolvers<IncomingMessage>()
  const length =
    visit.body === undefined ? [] : ['Content-Length', String(Buffer.byteLength(visit.body))]
  const outgoing = open({
    host: reached.hostname.replaceAll(/[[\]]/g, ''),
    port: reached.port,
    method: visit.method,
    path,
    headers: [...visit.headers, ...length],
    servername: url.hostname,
    rejectUnauthorized: false,
    agent: false,
    ...(visit.signal && { signal: visit.signal }),
  })
  outgoing.on('response', answered.resolve).on('error', answered.reject).end(visit.body)
  return answered.promise
}

const sendOverHttp2 = async (
  port: number,
  request: StreamRequest & { readonly signal?: AbortSignal },
): Promise<StreamAnswer> => {
  const { session, send: sendStream } = await openHttp2(port)
  request.signal?.addEventListener('abort', () => session.destroy())
  const answer = await sendStream(request).catch((error: unknown) => {
    session.destroy()
    throw error
  })
  return answer.on('close', () => session.close())
}

const loopback = (url: URL): string =>
  `${url.protocol}//127.0.0.1:${url.port || (url.protocol === 'https:' ? 443 : 80)}`

const RAW_ANSWER_WITHIN_MS = 60_000

/** Sends Latin-1 text byte for byte and reads until the other side closes, or has said nothing for `quietMs`. */
export const raw = async (port: number, text: string, quietMs = 300): Promise<string> => {
  const chunks: Buffer[] = []
  const done = Promise.withResolvers<void>()
  const socket = connect(port, '127.0.0.1')
  const deadline = setTimeout(() => done.resolve(), RAW_ANSWER_WITHIN_MS)
  let quiet: NodeJS.Timeout | undefined
  let lastLook: NodeJS.Immediate | undefined
  socket.on('connect', () => socket.write(text, 'latin1'))
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    clearTimeout(quiet)
    clearImmediate(lastLook)
    // Behind a pause of this process timers come first, and what has arrived meanwhile is read after them.
    quiet = setTimeout(() => {
      lastLook = setImmediate(() => done.resolve())
    }, quietMs)
  })
  // A server that answers before it has read everything resets the connection.
  socket.on('error', (error) => (chunks.length > 0 ? done.resolve() : done.reject(error)))
  socket.on('close', () => done.resolve())
  try {
    await done.promise
  } finally {
    clearTimeout(deadline)
    clearTimeout(quiet)
    clearImmediate(lastLook)
    socket.destroy()
  }
  return Buffer.concat(chunks).toString('latin1')
}
