export type StoredCookie = Readonly<ReturnType<typeof parseSetCookie>>

export interface SendContext {
  readonly crossSite?: boolean
  readonly method?: string
  readonly topLevel?: boolean
}

export interface CookieJar {
  /** Applies one `Set-Cookie` line; says why a browser would refuse it, or nothing. */
  readonly set: (line: string, url: URL) => string | undefined
  readonly header: (url: URL, context?: SendContext) => string | undefined
  readonly all: () => readonly StoredCookie[]
  readonly find: (name: string) => StoredCookie | undefined
  readonly put: (cookie: StoredCookie) => void
  readonly remove: (name: string) => void
  readonly clear: () => void
  readonly copy: () => CookieJar
}

const MAX_COOKIE_BYTES = 4096

/** A browser's cookie rules (RFC 6265bis), at their strictest where browsers differ. */
export const createCookieJar = (initial: readonly StoredCookie[] = []): CookieJar => {
  const cookies = new Map(initial.map((cookie) => [keyOf(cookie), cookie]))
  const live = (): readonly StoredCookie[] =>
    [...cookies.values()].filter(({ endsAtMs }) => endsAtMs > Date.now())

  const set = (line: string, url: URL): string | undefined => {
    const cookie = parseSetCookie(line, url)
    const refusal = refuse(cookie, line, url)
    if (refusal) return refusal
    const shadowsSecure = live().some(
      (other) => other.secure && other.name === cookie.name && other.domain === cookie.domain,
    )
    if (shadowsSecure && !isTrustworthy(url)) return 'a plain page may not replace a Secure cookie'
    cookies.set(keyOf(cookie), cookie)
    return undefined
  }

  const header = (url: URL, context: SendContext = {}): string | undefined => {
    const sent = live()
      .filter((cookie) => isSentTo(cookie, url) && isSentFrom(cookie, context))
      .toSorted((a, b) => b.path.length - a.path.length)
    return sent.length > 0
      ? sent.map(({ name, value }) => (name ? `${name}=${value}` : value)).join('; ')
      : undefined
  }

  return {
    set,
    header,
    all: live,
    find: (name) => live().find((cookie) => cookie.name === name),
    put: (cookie) => void cookies.set(keyOf(cookie), cookie),
    remove: (name) => {
      for (const [key, cookie] of cookies) if (cookie.name === name) cookies.delete(key)
    },
    clear: () => cookies.clear(),
    copy: () => createCookieJar(live()),
  }
}

const keyOf = ({ name, domain, hostOnly, path }: StoredCookie): string =>
  JSON.stringify([name, domain, hostOnly, path])

const parseSetCookie = (line: string, url: URL) => {
  const [pair = '', ...rest] = line.split(';')
  const attributes = new Map(
    rest.map((part) => {
      const [name = '', ...value] = part.split('=')
      return [name.trim().toLowerCase(), value.join('=').trim()] as const
    }),
  )
  const equals = pair.indexOf('=')
  const domain = (attributes.get('domain') ?? '').replace(/^\./, '').toLowerCase()
  const path = attributes.get('path') ?? ''
  return {
    name: equals < 0 ? '' : pair.slice(0, equals).trim(),
    value: pair.slice(equals + 1).trim(),
    domain: domain || url.hostname,
    hostOnly: !domain,
    path: path.startsWith('/') ? path : defaultPath(url),
    secure: attributes.has('secure'),
    httpOnly: attributes.has('httponly'),
    sameSite: attributes.get('samesite')?.toLowerCase(),
    endsAtMs: endOf(attributes),
  }
}

const defaultPath = (url: URL): string =>
  url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf('/')))

/** Returns `Infinity` for a session cookie. */
const endOf = (attributes: ReadonlyMap<string, string>): number => {
  const maxAgeSeconds = attributes.get('max-age')
  if (maxAgeSeconds !== undefined && /^-?\d+$/.test(maxAgeSeconds)) {
    return Number(maxAgeSeconds) <= 0 ? 0 : Date.now() + Number(maxAgeSeconds) * 1000
  }
  const expiresMs = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expiresMs) ? Number.POSITIVE_INFINITY : expiresMs
}

const refuse = (cookie: StoredCookie, line: string, url: URL): string | undefined => {
  const { name, value, domain, hostOnly } = cookie
  if (!name && !value) return 'it is empty'
  if (hasControlCharacter(line)) return 'it has a control character'
  if (name.length + value.length > MAX_COOKIE_BYTES) return 'it is longer than 4096 bytes'
  if (cookie.secure && !isTrustworthy(url)) return 'Secure needs https'
  if (!hostOnly && !isUnder(url.hostname, domain)) return 'its Domain is not of this host'
  if (!hostOnly && !domain.includes('.')) return 'its Domain is a public suffix'
  const lower = name.toLowerCase()
  const isHostBound = lower.startsWith('__host-')
  if (isHostBound || lower.startsWith('__secure-')) {
    if (!cookie.secure || url.protocol !== 'https:') return 'its prefix needs Secure and https'
  }
  if (isHostBound && (!hostOnly || cookie.path !== '/')) return '__Host- needs Path=/ and no Domain'
  if (cookie.sameSite === 'none' && !cookie.secure) return 'SameSite=None needs Secure'
  return undefined
}

const hasControlCharacter = (line: string): boolean => /[\x00-\x08\x0a-\x1f\x7f]/.test(line)

const isUnder = (host: string, domain: string): boolean =>
  host === domain || (host.endsWith(`.${domain}`) && !/^[\d.]+$/.test(host))

/** Loopback counts as secure for the Secure attribute, as it does in browsers. */
const isTrustworthy = ({ protocol, hostname }: URL): boolean =>
  protocol === 'https:' || /^(?:(?:.*\.)?localhost|127\..*|\[::1\])$/.test(hostname)

const isSentTo = ({ domain, hostOnly, path, secure }: StoredCookie, url: URL): boolean => {
  const hostMatches = hostOnly ? url.hostname === domain : isUnder(url.hostname, domain)
  const pathMatches =
    url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
  return hostMatches && pathMatches && (!secure || isTrustworthy(url))
}

const isSentFrom = ({ sameSite }: StoredCookie, context: SendContext): boolean => {
  if (!context.crossSite || sameSite === 'none') return true
  const isSafe = context.method === 'GET' || context.method === 'HEAD'
  return sameSite !== 'strict' && isSafe && context.topLevel === true
}
