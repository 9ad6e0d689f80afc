import {
  type BadToken,
  cookieName,
  type Finding,
  findCredential,
  tokenScheme,
} from './credentials.ts'
import { type AskedSite, type Fault, faultsOf, isForeign, siteOf } from './faults.ts'
import { demandOf } from './rules.ts'
import {
  cookieForApp,
  cookieNamed,
  type Headers,
  headersOf,
  kindOf,
  type RequestKind,
} from './sent-headers.ts'
import type { Person, PlainAnswer, SentRequest, World } from './world.ts'

/** Stands for a value that differs from one answer to the next. */
export const ANY = '<any>'

const NO_STORE = { 'cache-control': 'no-store' }
const REFUSAL = { ...NO_STORE, 'x-content-type-options': 'nosniff', vary: 'Cookie, Authorization' }
const PAGE = {
  ...REFUSAL,
  'content-type': 'text/html; charset=UTF-8',
  'content-security-policy': ANY,
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'strict-transport-security': 'max-age=31536000',
}
const MAX_TARGET = 3000
/** Depth of the prefixes that a reset names at least; clients bound the head of an answer. */
const DEPTH = 8
const HEADERS_MAX_BYTES = 8192

type Answer = Omit<PlainAnswer, 'closes'>

/** Facts of a request that can be asked about, once nothing is wrong with its form. */
interface Asked {
  readonly headers: Headers
  readonly world: World
  readonly site: AskedSite
  readonly kind: RequestKind
  readonly uri: string
  readonly method: string
}

/**
 * Returns the answers that the contract allows a check, as design.md sections 1 to 5 and docs/rules.md tell them: the
 * plain way, once per request, with nothing remembered. Several where more than one thing is wrong with a request.
 */
export function expectedAnswers(sent: SentRequest, world: World): readonly PlainAnswer[] {
  const headers = headersOf(sent)
  const closes = isLastOfConnection(sent, headers)
  return answersTo(sent, headers, world).map((answer) => ({
    ...answer,
    ...(sent.method === 'HEAD' && { body: '' }),
    closes,
  }))
}

function isLastOfConnection({ version, body }: SentRequest, { value }: Headers): boolean {
  const isLong = body !== undefined && (body.framing === 'chunked' || body.bytes > 16_384)
  return isLong || version === '1.0' || value('connection') === 'close'
}

function answersTo(sent: SentRequest, headers: Headers, world: World): readonly Answer[] {
  const isRouted = /^https?:/.test(sent.target) || isHostValue(headers.value('host'))
  if (!isRouted) return [{ status: 400, headers: NO_STORE, setCookies: [], body: '' }]
  const method = headers.value('x-forwarded-method')
  const proto = headers.value('x-forwarded-proto')
  const faults = faultsOf(sent, headers, world)
  const site = siteOf(headers.value('x-forwarded-host'), world)
  const kind = kindOf(headers, method, proto === 'ws' || proto === 'wss')
  const isProgram = tokenScheme(headers) !== undefined
  /** Gives a refusal the form of its request, and either form where its method or scheme does not count. */
  const refused = (fault: Fault): readonly Answer[] => {
    const known =
      /^[A-Z0-9_-]{1,32}$/.test(method) && headers.all('x-forwarded-method').length === 1
    const kinds = known
      ? [kind, kindOf(headers, method, false)]
      : [kindOf(headers, 'GET', false), 'other' as const]
    return kinds.map((each) => refusal(headers, fault, isPageKind(each) && !isProgram))
  }
  if (faults.length > 0 || !site) return faults.flatMap(refused)
  const isForeignHandshake =
    kind === 'websocket' && headers.has('origin') && isForeign(headers.value('origin'), site, world)
  if (isForeignHandshake) return refused({ code: 'foreign_origin', status: 403 })
  const uri = headers
    .value('x-forwarded-uri')
    .replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`)
  const asked: Asked = { headers, world, site, kind, uri, method }
  return [decided(asked, sent.readings ?? [])]
}

function isHostValue(host: string): boolean {
  return /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,4})?$/i.test(host)
}

function isPageKind(kind: RequestKind): boolean {
  return kind === 'page' || kind === 'form'
}

function decided(asked: Asked, readings: readonly string[]): Answer {
  const { headers, world, site, kind, method } = asked
  const { hostname } = site
  const demand = demandOf(world.rules, { method, hostname, readings })
  switch (demand.kind) {
    case 'public':
      return allowed(asked)
    case 'deny':
      return forbidden(asked)
    case 'sign-in': {
      if (kind === 'preflight' && demand.passesPreflight) return allowed(asked)
      const isToken = demand.bearers.length > 0 && tokenScheme(headers) !== undefined
      return found(asked, findCredential(demand, headers, site, world), isToken)
    }
  }
}

function found(asked: Asked, finding: Finding, isToken: boolean): Answer {
  const { headers, kind, method } = asked
  switch (finding.kind) {
    case 'person':
      return finding.isPermitted ? passed(asked, finding) : forbidden(asked, finding.person)
    case 'nobody':
      return signIn(asked)
    case 'ambiguous':
      return isPageKind(kind) ? reset(asked) : loginRequired(asked)
    case 'unavailable': {
      const isPage = showsErrorAsPage(asked)
      const page = { title: 'One moment, please', refresh: method === 'POST' ? '' : '5' }
      const fault = { code: 'store_unavailable', status: 503 }
      return {
        ...refusal(headers, fault, isPage),
        ...(isPage && { body: { ...EMPTY_PAGE, ...page } }),
      }
    }
    case 'bad-token':
      return badToken(asked, finding, isToken)
  }
}

/** Tells by the headers alone, without the scheme, whether a person reads an error. */
function showsErrorAsPage({ headers, method }: Asked): boolean {
  return isPageKind(kindOf(headers, method, false)) && tokenScheme(headers) === undefined
}

function passed(asked: Asked, { person, by }: Finding & { kind: 'person' }): Answer {
  const identity = identityOf(person)
  const bytes = Object.entries(identity).map(([name, value]) => name.length + value.length)
  if (bytes.reduce((sum, each) => sum + each) > HEADERS_MAX_BYTES) {
    const fault = { code: 'claims_too_large', status: 403 }
    return refusal(asked.headers, fault, showsErrorAsPage(asked))
  }
  const answer = allowed(asked, identity)
  const isAsserted = by === 'session' && getsAssertion(asked, person)
  return isAsserted ? { ...answer, setCookies: [assertionCookie(asked)] } : answer
}

function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

const NOBODY: Person = { sub: '', groups: [] }

function identityOf({ sub, email, username, name, groups }: Person) {
  const group = (each: string) => utf8(each.replaceAll('%', '%25').replaceAll(',', '%2C'))
  return {
    'x-auth-request-user': utf8(sub),
    'x-auth-request-email': utf8(email ?? ''),
    'x-auth-request-preferred-username': utf8(username ?? ''),
    'x-auth-request-name': utf8(name ?? ''),
    'x-auth-request-groups': groups.map(group).join(','),
  }
}

function allowed({ headers }: Asked, identity = identityOf(NOBODY)): Answer {
  const cookie = cookieForApp(headers.value('cookie'))
  const given = cookie === '' ? identity : { ...identity, cookie }
  return { status: 200, headers: given, setCookies: [], body: '' }
}

/** Documents and fetches of GET get an assertion where the browser has no recent one; assets and handshakes do not. */
function getsAssertion({ headers, world, site, kind, method }: Asked, person: Person): boolean {
  const { value, has } = headers
  const sent = cookieNamed(value('cookie'), cookieName(site, world, 'vestibule_outage'))
  const isRecent = sent !== undefined && isYoung(sent)
  const isSmall = person.groups.join().length < 1000
  if (world.graceSeconds === 0 || method !== 'GET' || isRecent || !isSmall) return false
  if (kind === 'page') return true
  if (kind !== 'other') return false
  if (!has('sec-fetch-dest')) return has('x-requested-with')
  return ['document', 'empty', 'iframe', 'frame'].includes(value('sec-fetch-dest'))
}

function isYoung(assertion: string): boolean {
  const [version, seconds = ''] = assertion.split('.')
  return version === 'v1' && Math.abs(Date.now() / 1000 - Number.parseInt(seconds, 36)) < 30
}

function assertionCookie({ site, world }: Asked): string {
  const domain = world.cookieDomain === undefined ? '' : `; Domain=${world.cookieDomain}`
  const secure = site.scheme === 'https' ? '; Secure' : ''
  const name = cookieName(site, world, 'vestibule_outage')
  return `${name}=${ANY}; Max-Age=${world.graceSeconds}${domain}; Path=/; HttpOnly${secure}; SameSite=Lax`
}

const EMPTY_PAGE = { title: '', signedInAs: '', links: [] as readonly string[], refresh: '' }

/** Returns a refusal with its code; what else it says is not compared. */
function refusal(headers: Headers, fault: Fault, isPage: boolean): Answer {
  const { code, status, named = '' } = fault
  const extra = {
    ...(status === 405 && { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY' }),
    ...(status === 503 && { 'retry-after': '5' }),
  }
  if (isPage) {
    const body = { ...EMPTY_PAGE, title: 'This request cannot be answered' }
    return { status, headers: { ...PAGE, ...extra, ...idOf(headers) }, setCookies: [], body }
  }
  const body = { error: code, ...(named && { named }), ...requestId(headers) }
  return json(headers, status, body, extra)
}

function json(
  headers: Headers,
  status: number,
  body: object,
  extra: Readonly<Record<string, string>> = {},
): Answer {
  const type = { 'content-type': 'application/json' }
  return {
    status,
    headers: { ...REFUSAL, ...type, ...extra, ...idOf(headers) },
    setCookies: [],
    body,
  }
}

function idOf(headers: Headers) {
  const id = headers.value('x-request-id')
  return { 'x-request-id': /^[\w.-]{8,64}$/.test(id) ? id : ANY }
}

function requestId(headers: Headers) {
  return { request_id: idOf(headers)['x-request-id'] }
}

function forbidden(asked: Asked, person?: Person): Answer {
  const { headers, kind } = asked
  if (!isPageKind(kind)) return json(headers, 403, { error: 'forbidden', ...requestId(headers) })
  const { email, username, name, sub = '' } = person ?? {}
  const signedInAs = (email ?? username ?? name ?? sub).slice(0, 200)
  const links = [`${loginUrl(asked, targetOf(asked))}&prompt=login`]
  const body = { ...EMPTY_PAGE, title: 'You may not open this page', signedInAs, links }
  return { status: 403, headers: { ...PAGE, ...idOf(headers) }, setCookies: [], body }
}

function signIn(asked: Asked): Answer {
  const { kind } = asked
  if (!isPageKind(kind)) return loginRequired(asked)
  const location = loginUrl(asked, kind === 'page' ? targetOf(asked) : refererOf(asked))
  const headers = { ...REFUSAL, location, 'referrer-policy': 'same-origin' }
  return { status: kind === 'page' ? 302 : 303, headers, setCookies: [], body: '' }
}

function loginRequired(asked: Asked): Answer {
  const { headers, site } = asked
  const body = { error: 'login_required', login_url: loginUrl(asked, refererOf(asked)) }
  return json(headers, 401, body, { 'www-authenticate': `Bearer realm="${site.host}"` })
}

function loginUrl({ site, world }: Asked, target: string): string {
  const query = new URLSearchParams({ rd: target }).toString()
  return `${world.publicUrl ?? site.origin}${world.basePath}/login?${query}`
}

/** Returns the address that was asked for, or as much of it as fits. */
function targetOf({ site, uri }: Asked): string {
  const [path = ''] = uri.split('?')
  const query = uri.slice(path.length).replaceAll('\\', '%5C')
  if (path.includes('\\') || path.length + site.origin.length > MAX_TARGET) return `${site.origin}/`
  const { href, origin, pathname } = new URL(site.origin + path + query)
  return href.length > MAX_TARGET ? origin + pathname : href
}

function refererOf(asked: Asked): string {
  const { headers, site, world } = asked
  const referer = headers.value('referer')
  if (!referer.startsWith(`${site.origin}/`) || /[^\x21-\x7e]/.test(referer))
    return `${site.origin}/`
  const uri = referer.slice(site.origin.length)
  const isOurs = `${uri.toLowerCase()}/`.replace(/[?#]/, '/').startsWith(`${world.basePath}/`)
  return isOurs ? `${site.origin}/` : targetOf({ ...asked, uri })
}

/** Expires both variants of the cookie for `/` and for every prefix of the path. */
function reset(asked: Asked): Answer {
  const { headers, site, world, uri } = asked
  const body = {
    ...EMPTY_PAGE,
    title: 'Please sign in again',
    links: [loginUrl(asked, targetOf(asked))],
  }
  const both = ['vestibule', ...(world.graceSeconds > 0 ? ['vestibule_outage'] : [])]
  const isDouble = (name: string) => cookieNamed(headers.value('cookie'), name) === 'ambiguous'
  const expired = new Set<string>()
  for (const base of both) {
    const shared = cookieName(site, world, base)
    const hostOnly = site.scheme === 'https' ? `__Host-${base}` : base
    expired.add(`${hostOnly} at / of the host`)
    expired.add(`${shared} at / of the host`)
    if (world.cookieDomain !== undefined) expired.add(`${shared} at / of ${world.cookieDomain}`)
  }
  for (const base of ['vestibule', 'vestibule_outage']) {
    const name = cookieName(site, world, base)
    if (name.startsWith('__Host-') || !isDouble(name)) continue
    const path = (uri.split('?')[0] ?? '').replace(/\/$/, '')
    const ends = [...path.matchAll(/\/|$/g)].map(({ index }) => index).slice(1, DEPTH)
    const prefixes = ends.map((end) => path.slice(0, end))
    for (const each of ['/', ...prefixes.flatMap((prefix) => [prefix, `${prefix}/`])]) {
      if (/^\/[\x21-\x3a\x3c-\x7e]*$/.test(each)) expired.add(`${name} at ${each} of the host`)
    }
  }
  return {
    status: 400,
    headers: { ...PAGE, ...idOf(headers) },
    setCookies: [...expired].toSorted(),
    body,
  }
}

function badToken({ headers, site }: Asked, finding: BadToken, isToken: boolean): Answer {
  const { status, error, scopes } = finding
  const isProof = isToken && tokenScheme(headers) === 'DPoP'
  const detail = scopes === undefined ? `error_description="${ANY}"` : `scope="${scopes}"`
  const fault = error === 'token_required' ? [] : [`error="${error}"`, detail]
  const realm = `Bearer realm="${site.host}"`
  const challenge = isProof
    ? `${realm}, DPoP ${[`algs="${ANY}"`, ...fault].join(', ')}`
    : [realm, ...fault].join(', ')
  return json(
    headers,
    status,
    { error },
    error === 'forbidden' ? {} : { 'www-authenticate': challenge },
  )
}
