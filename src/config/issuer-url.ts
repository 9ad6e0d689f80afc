import type { Settings } from './settings/settings.ts'

/** Refuses plain http, except on loopback or with `ALLOW_INSECURE_HTTP`. */
export function checkInsecureHttp(
  what: string,
  hostname: string,
  settings: Settings,
  problems: string[],
): void {
  const isLocal = /(?:^|\.)localhost$|^127\./.test(hostname)
  if (isLocal || settings.ALLOW_INSECURE_HTTP) return
  problems.push(
    `${what}: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true`,
  )
}

/** Requires a URL without query and fragment (OpenID Connect Discovery 1.0, section 3). */
export function checkIssuerUrl(
  what: string,
  value: string,
  settings: Settings,
  problems: string[],
): void {
  const issuer = parseIssuer(value)
  if (!issuer) {
    problems.push(`${what}: is not a URL such as https://id.example.com`)
    return
  }
  const remedy = remedyFor(issuer)
  if (remedy !== undefined) problems.push(`${what}: ${remedy}`)
  if (issuer.protocol === 'http:') checkInsecureHttp(what, issuer.hostname, settings, problems)
}

/** Requires a URL as for an issuer; plain http is allowed, because the address is inside (finding C29). */
export function checkInternalUrl({ OIDC_INTERNAL_URL: value }: Settings, problems: string[]): void {
  if (value === undefined) return
  const internal = parseIssuer(value)
  const remedy = internal
    ? endpointRemedy(internal)
    : 'is not a URL such as http://keycloak:8080/realms/x'
  if (remedy !== undefined) problems.push(`OIDC_INTERNAL_URL: ${remedy}`)
}

function parseIssuer(value: string): URL | undefined {
  const url = URL.parse(value)
  const isUsable =
    url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username
  return isUsable && !url.password ? url : undefined
}

/** Returns what to write instead of an address that cannot be an issuer (finding C33). */
function remedyFor(issuer: URL): string | undefined {
  return endpointRemedy(issuer) ?? entraRemedy(issuer)
}

/** Refuses an address below an issuer: of its metadata, or of an endpoint of Keycloak. */
function endpointRemedy({ href }: URL): string | undefined {
  const [base = '', rest] = href.split(/\/(?:\.well-known|protocol\/openid-connect)(?:\/|$)/)
  if (rest === undefined) return undefined
  return `is the address of the metadata or an endpoint, not of the issuer; write ${base}`
}

/** Hosts of Microsoft Entra ID in its clouds. */
const ENTRA_HOSTS = new Set([
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'login.chinacloudapi.cn',
])
/** Tenant of personal Microsoft accounts. */
const CONSUMERS = '9188040d-6c67-4c5b-b112-36a304b66dad'

/** Refuses addresses of several tenants, whose metadata name no issuer that a token could have. */
function entraRemedy({ host, pathname }: URL): string | undefined {
  const [, tenant = ''] = pathname.toLowerCase().split('/')
  if (!ENTRA_HOSTS.has(host) || !/^(?:common|organizations|consumers|%7b.*)$/.test(tenant)) {
    return undefined
  }
  const named = tenant === 'consumers' ? CONSUMERS : '<tenant id>'
  return `is the address of several tenants, and each issues tokens under its own; write https://${host}/${named}/v2.0`
}
