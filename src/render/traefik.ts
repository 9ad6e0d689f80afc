import { posix } from 'node:path'
import { Document, isScalar, visit } from 'yaml'
import type { Config } from '../config/config.ts'
import { cookieBases, cookieVariants } from '../core/cookie-names.ts'
import { ACCESS_TOKEN_HEADER } from '../core/identity-headers.ts'
import { type HostPattern, patternOf } from '../core/site.ts'

/** Request headers by which an app may see another host, path or method than Traefik routes by. */
const REWRITING_HEADERS = [
  'Forwarded',
  'X-Forwarded-Host',
  'X-Forwarded-Method',
  'X-Forwarded-Prefix',
  'X-Forwarded-Uri',
  'X-Original-Url',
  'X-Rewrite-Url',
]
/**
 * Limit of a response body, above which Traefik answers 401. Exceeds our largest answer by little, because Traefik
 * allocates the limit for each check (finding C63).
 */
const MAX_RESPONSE_BODY_BYTES = 16_384
/** Exceeds every default priority of Traefik, which is the length of a rule. */
const SIGN_IN_PRIORITY = 100_000

const TLS_FOLDER = '/etc/traefik/vestibule-tls'

/** Reasons by key, the same in every format. */
const NOTES: Readonly<Record<string, string>> = {
  customRequestHeaders:
    'Deletes these headers (empty value), because a client could forge an identity in them, or claim another\nhost, path or method than those by which Traefik routes.',
  tls: 'Authority of Vestibule, and with INTERNAL_TLS_CLIENT_CA_FILE the certificate that Traefik presents. With TLS\none HTTP/2 connection of a router carries all of its checks.',
  trustForwardHeader:
    "Leaves it to the entry point's forwardedHeaders.trustedIPs which forwarded headers to trust.",
  authResponseHeaders:
    "Headers that Traefik deletes from the client's request and copies from Vestibule's answer. A client\ncan forge a header that is missing here.",
  addAuthCookiesToResponse: 'Names of the outage cookie, the only cookie that a 200 may set.',
  maxResponseBodySize: 'Bounds the bytes of an answer that Traefik reads.',
  preserveLocationHeader:
    'Keeps each Location unchanged, because Vestibule sends absolute addresses.',
  headerField: 'Header that becomes ClientUsername in the access log.',
  chain: 'Chain for routers: removes headers first, then checks the request.',
  priority:
    "Ranks above the apps' routers. Has no middleware, because the check answers 403 for these paths.",
}

/** Options with which Traefik verifies Vestibule's certificate, and those with which it presents one of its own as well. */
interface TlsOfCheck {
  readonly server: Readonly<Record<string, string>>
  readonly both: Readonly<Record<string, string>>
}

/**
 * Returns the middlewares of a configuration. The form in which a chain names its members differs by format and is
 * left to the caller.
 */
export function middlewareOptions(
  { settings, identityHeaders, internalTls }: Config,
  host: string,
  tls: TlsOfCheck,
) {
  const identity = [...identityHeaders.map(({ name }) => name), ACCESS_TOKEN_HEADER]
  const authorization = settings.PASS_AUTHORIZATION ? ['Authorization'] : []
  const stripped = [...REWRITING_HEADERS, ...identity]
  return {
    strip: {
      headers: { customRequestHeaders: Object.fromEntries(stripped.map((name) => [name, ''])) },
    },
    check: {
      forwardAuth: {
        address: `${internalTls ? 'https' : 'http'}://${host}:${settings.INTERNAL_PORT}/auth`,
        ...(internalTls && { tls: internalTls.clientCaFile === undefined ? tls.server : tls.both }),
        trustForwardHeader: true,
        authResponseHeaders: [...identity, ...authorization, 'Cookie'],
        addAuthCookiesToResponse: cookieVariants(cookieBases(settings.COOKIE_NAME).outage),
        maxResponseBodySize: MAX_RESPONSE_BODY_BYTES,
        preserveLocationHeader: true,
        headerField: 'X-Auth-Request-User',
      },
    },
  }
}

/** Returns the router rule for `BASE_PATH` on every host of this installation. */
export function signInRule({ settings, publicSite, hosts }: Config) {
  const patterns = [...(publicSite ? [patternOf(publicSite)] : []), ...hosts]
  const matchers = [...new Set(patterns.map(hostMatcher))]
  const anyHost = matchers.length === 1 ? matchers.join('') : `(${matchers.join(' || ')})`
  return {
    rule: `${anyHost} && PathPrefix(\`${settings.BASE_PATH}/\`)`,
    priority: SIGN_IN_PRIORITY,
  }
}

/**
 * Returns the dynamic configuration for Traefik's file provider. `host` is the name by which Traefik reaches
 * Vestibule, `folder` the place of its certificates on Traefik's machine.
 */
export function traefikFile(config: Config, host: string, folder = TLS_FOLDER): string {
  const pathOf = (name: string) => posix.join(folder, name)
  const ca = pathOf('ca.crt')
  const both = { ca, cert: pathOf('tls.crt'), key: pathOf('tls.key') }
  const { strip, check } = middlewareOptions(config, host, { server: { ca }, both })
  const { rule, priority } = signInRule(config)
  return explained({
    http: {
      middlewares: {
        'vestibule-strip': strip,
        vestibule: check,
        protected: { chain: { middlewares: ['vestibule-strip', 'vestibule'] } },
      },
      routers: { vestibule: { rule, priority, service: 'vestibule' } },
      services: {
        vestibule: {
          loadBalancer: { servers: [{ url: `http://${host}:${config.settings.PORT}` }] },
        },
      },
    },
  })
}

/** Writes YAML with the reasons as comments. */
export function explained(value: unknown): string {
  const document = new Document(value)
  visit(document, {
    Pair(_, { key }) {
      const note = isScalar<string>(key) ? NOTES[key.value] : undefined
      if (note !== undefined && isScalar(key)) key.commentBefore = note.replace(/^/gm, ' ')
    },
  })
  return document.toString({ lineWidth: 0 })
}

function hostMatcher({ hostname, isWildcard }: HostPattern): string {
  if (!isWildcard) return `Host(\`${hostname}\`)`
  return `HostRegexp(\`^.+\\.${hostname.replaceAll('.', '\\.')}$\`)`
}
