import type { Config } from '../../config/config.ts'
import { cookieBases } from '../../core/cookie-names.ts'
import { checkOptions } from '../../render/middlewares.ts'
import { type Finding, type FindingCode, finding } from '../finding.ts'
import { type Options, optionAt, type TraefikConfiguration, textsIn } from './configuration.ts'

/** Middleware that asks Vestibule. */
export interface Check {
  readonly name: string
  readonly forwardAuth: Options
  readonly address: URL
}

/** Returns the middlewares that ask a check at `/auth` of this installation’s internal or, by mistake, public port. */
export function findChecks(
  { middlewares }: TraefikConfiguration,
  { settings }: Config,
): readonly Check[] {
  const ports = new Set([settings.PORT, settings.INTERNAL_PORT].map(String))
  return [...middlewares].flatMap(([name, options]) => {
    const forwardAuth = optionAt(options, 'forwardAuth') as Options | undefined
    const address = URL.parse(String(optionAt(forwardAuth, 'address')))
    if (!forwardAuth || address?.pathname !== '/auth') return []
    const isOurs = ports.has(address.port) || /vestibule/i.test(`${name} ${address.hostname}`)
    return isOurs ? [{ name, forwardAuth, address }] : []
  })
}

/** Compares the options of a check with those that `vestibule render traefik` prints. */
export function examineCheck(
  { name, forwardAuth, address }: Check,
  config: Config,
): readonly Finding[] {
  const rendered = checkOptions(config, address.hostname, { server: {}, both: {} }).forwardAuth
  const missing = (option: string, wanted: readonly string[]) => {
    const given = new Set(textsIn(forwardAuth[option]).map((each) => each.toLowerCase()))
    return wanted.filter((each) => !given.has(each.toLowerCase()))
  }
  const size = forwardAuth['maxResponseBodySize']
  const isCopied = matcherOf(forwardAuth['authResponseHeadersRegex'])
  const headers = missing('authResponseHeaders', rendered.authResponseHeaders).filter(
    (each) => !isCopied(each),
  )
  const cookies = missing('addAuthCookiesToResponse', outageCookies(config))
  const has = (option: string) => textsIn(forwardAuth[option]).length > 0
  const rows: readonly (readonly [boolean, FindingCode, string])[] = [
    [
      headers.length > 0,
      'identity_headers_missing',
      `authResponseHeaders lacks ${headers.join(', ')}`,
    ],
    [
      cookies.length > 0,
      'outage_cookie_missing',
      `addAuthCookiesToResponse lacks ${cookies.join(', ')}`,
    ],
    [
      forwardAuth['trustForwardHeader'] !== true,
      'trust_forward_header',
      'trustForwardHeader is not true',
    ],
    [
      forwardAuth['preserveLocationHeader'] !== true,
      'location_header',
      'preserveLocationHeader is not true',
    ],
    [
      !(Number(size) >= LARGEST_ANSWER_BYTES),
      'response_size',
      `maxResponseBodySize is ${Number(size) || 'not set'}`,
    ],
    [has('authRequestHeaders'), 'headers_hidden', 'authRequestHeaders is set'],
    [forwardAuth['forwardBody'] === true, 'forward_body', 'forwardBody is true'],
    [
      forwardAuth['preserveRequestMethod'] === true,
      'forward_body',
      'preserveRequestMethod is true',
    ],
    [Boolean(forwardAuth['authSigninURL']), 'answer_replaced', 'authSigninURL is set'],
    ...addressRows(address, forwardAuth, config),
  ]
  return rows.flatMap(([isFault, code, seen]) =>
    isFault ? [finding(code, `The middleware ${name}: ${seen}.`)] : [],
  )
}

function matcherOf(regex: unknown): (header: string) => boolean {
  if (typeof regex !== 'string' || regex === '') return () => false
  try {
    const matcher = new RegExp(regex)
    return (header) => matcher.test(header)
  } catch {
    return () => false
  }
}

/** Size of Vestibule's largest answer to a check. */
const LARGEST_ANSWER_BYTES = 12 * 1024

/** Returns the outage cookies that this installation sets, by the schemes of its hosts. */
function outageCookies({ settings, hosts }: Config): readonly string[] {
  if (settings.SESSION_OUTAGE_GRACE.ms === 0) return []
  const { outage } = cookieBases(settings.COOKIE_NAME)
  const prefix = settings.COOKIE_DOMAIN === undefined ? '__Host-' : '__Secure-'
  return [
    ...new Set(hosts.map(({ scheme }) => (scheme === 'https' ? `${prefix}${outage}` : outage))),
  ]
}

function addressRows(
  { hostname, protocol, port, host }: URL,
  forwardAuth: Options,
  { settings, hosts, publicSite, internalTls }: Config,
): readonly (readonly [boolean, FindingCode, string])[] {
  const names = [
    ...hosts.map((each) => each.hostname),
    publicSite && new URL(publicSite.origin).hostname,
  ]
  const isPublic = names.includes(hostname) || port === String(settings.PORT)
  const isTls = protocol === 'https:'
  const isTrusting = optionAt(forwardAuth, 'tls', 'insecureSkipVerify') === true
  return [
    [isPublic, 'check_address', `address is at ${host}`],
    [isTls !== (internalTls !== undefined), 'check_tls', `address begins with ${protocol}//`],
    [isTrusting, 'check_tls', 'tls.insecureSkipVerify is true'],
  ]
}
