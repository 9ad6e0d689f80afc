import { Document, isScalar, visit } from 'yaml'
import type { Config } from '../config/config.ts'
import { cookieBases, cookieVariants } from '../core/cookie-names.ts'
import { guardedNames, sentNames } from '../core/identity-headers.ts'

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

const PRIORITY_NOTE =
  "Ranks above the apps' routers. Has no middleware, because the check answers 403 for these paths."

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
  priority: PRIORITY_NOTE,
  'traefik.ingress.kubernetes.io/router.priority': PRIORITY_NOTE,
  parentRefs:
    "Gateway of Traefik. The route has no filter, because the check answers 403 for these paths; it wins over the\napps' routes by its longer path.",
}

/** Options with which Traefik verifies Vestibule's certificate, and those with which it presents one of its own as well. */
export interface TlsOfCheck {
  readonly server: Readonly<Record<string, string>>
  readonly both: Readonly<Record<string, string>>
}

/** Returns the middleware that deletes the headers of a client that an app could believe. */
export function stripOptions({ identityHeaders }: Config) {
  const stripped = [...REWRITING_HEADERS, ...guardedNames(identityHeaders)]
  return {
    headers: { customRequestHeaders: Object.fromEntries(stripped.map((name) => [name, ''])) },
  }
}

/** Returns the middleware that asks Vestibule, which demands the policy beside the rules where there is one. */
export function checkOptions(
  { settings, identityHeaders, internalTls }: Config,
  host: string,
  tls: TlsOfCheck,
  policy?: string,
) {
  const authorization = settings.PASS_AUTHORIZATION ? ['Authorization'] : []
  const query = policy === undefined ? '' : `?policy=${encodeURIComponent(policy)}`
  return {
    forwardAuth: {
      address: `${internalTls ? 'https' : 'http'}://${host}:${settings.INTERNAL_PORT}/auth${query}`,
      ...(internalTls && { tls: internalTls.clientCaFile === undefined ? tls.server : tls.both }),
      trustForwardHeader: true,
      authResponseHeaders: [...sentNames(identityHeaders), ...authorization, 'Cookie'],
      addAuthCookiesToResponse: cookieVariants(cookieBases(settings.COOKIE_NAME).outage),
      maxResponseBodySize: MAX_RESPONSE_BODY_BYTES,
      preserveLocationHeader: true,
      headerField: 'X-Auth-Request-User',
    },
  }
}

/** Writes YAML with the reasons as comments; `head` is the first of them. */
export function explained(value: unknown, head?: string): string {
  const document = new Document(value)
  if (head !== undefined) document.commentBefore = head.replace(/^/gm, ' ')
  visit(document, {
    Pair(_, { key }) {
      const note = isScalar<string>(key) ? NOTES[key.value] : undefined
      if (note !== undefined && isScalar(key)) key.commentBefore = note.replace(/^/gm, ' ')
    },
  })
  return document.toString({ lineWidth: 0 })
}
