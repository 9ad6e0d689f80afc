import { isHost } from './rules.ts'
import type { Headers } from './sent-headers.ts'
import type { SentRequest, World } from './world.ts'

/** Code of a refusal and its status; an alias is named in the answer. */
export interface Fault {
  readonly code: string
  readonly status: number
  readonly named?: string
}

/** Protected site of a request, by the configuration's scheme. */
export interface AskedSite {
  readonly scheme: string
  /** Host with its port, as in an origin. */
  readonly host: string
  readonly hostname: string
  readonly origin: string
}

const FORWARDED = ['method', 'proto', 'host', 'uri'].map((part) => `x-forwarded-${part}`)
const GUARDED: ReadonlySet<string> = new Set([
  ...FORWARDED,
  'x-forwarded-for',
  ...['user', 'email', 'preferred-username', 'name', 'groups', 'access-token'].map(
    (part) => `x-auth-request-${part}`,
  ),
])
const OVERRIDES = new Set(['x-http-method-override', 'x-http-method', 'x-method-override'])
const SCHEMES: Readonly<Record<string, string>> = {
  http: 'http',
  ws: 'http',
  https: 'https',
  wss: 'https',
}
const BAD: Fault = { code: 'invalid_request', status: 400 }

/** Finds the site that a host names; ports must be those of the configuration or the scheme's own. */
export function siteOf(asked: string, { hosts }: World): AskedSite | undefined {
  const lower = asked.toLowerCase()
  const [, hostname, , port = ''] =
    /^([a-z0-9_]([a-z0-9._-]*[a-z0-9_])?)(?::([1-9]\d{0,4}))?$/.exec(lower) ?? []
  if (hostname === undefined || hostname.includes('..') || asked.length > 259) return undefined
  if (Number(port) > 65_535) return undefined
  for (const { scheme, pattern } of hosts) {
    const [name = '', wanted = ''] = pattern.split(':')
    const isDefault = port === (scheme === 'https' ? '443' : '80')
    const given = isDefault ? '' : port
    if (!isHost(name, hostname) || given !== wanted) continue
    const host = given === '' ? hostname : `${hostname}:${given}`
    return { scheme, host, hostname, origin: `${scheme}://${host}` }
  }
  return undefined
}

/** Returns every reason for which the rules are not asked, in no order. */
export function faultsOf(sent: SentRequest, headers: Headers, world: World): readonly Fault[] {
  if (!world.isPeerTrusted) return [{ code: 'untrusted_peer', status: 403 }]
  const { value, all } = headers
  const [method, proto, host, uri] = FORWARDED.map(value) as [string, string, string, string]
  const scheme = SCHEMES[proto]
  const site = siteOf(host, world)
  const isUri = uri.length <= 16_384 && /^\/(?!\/)[^\x00-\x20#\x7f]*$/.test(uri)
  const isUnusable =
    FORWARDED.some((name) => all(name).length !== 1 || value(name) === '') ||
    !/^[A-Z0-9_-]{1,32}$/.test(method) ||
    scheme === undefined ||
    (site && site.scheme !== scheme) ||
    !isUri
  return [
    ...sent.headers.flatMap(([name]) => faultOfName(name)),
    ...(isUnusable ? [BAD] : []),
    ...(/^(?:TRACE|CONNECT)$/.test(method) ? [{ code: 'method_not_allowed', status: 405 }] : []),
    ...(site ? [] : [{ code: 'foreign_host', status: 400 }]),
    ...faultsOfPath(sent, world),
  ]
}

function faultOfName(name: string): readonly Fault[] {
  const canonical = name.toLowerCase().replace(/[^a-z0-9]/g, '-')
  if (OVERRIDES.has(canonical)) return [BAD]
  const isAlias = GUARDED.has(canonical) && canonical !== name.toLowerCase()
  return isAlias ? [{ code: 'alias_header', status: 400, named: name }] : []
}

function faultsOfPath({ readings }: SentRequest, { basePath }: World): readonly Fault[] {
  if (!readings) return [{ code: 'hidden_dots', status: 400 }]
  const isOurs = readings.some((reading) => `${reading.toLowerCase()}/`.startsWith(`${basePath}/`))
  return isOurs ? [{ code: 'sign_in_router', status: 403 }] : []
}

/** Returns whether a handshake comes from a page that is on no protected host. */
export function isForeign(origin: string, site: AskedSite, world: World): boolean {
  if (origin === site.origin) return false
  const url = URL.parse(origin)
  return !url || siteOf(url.host, world)?.origin !== url.origin
}
