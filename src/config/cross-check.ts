import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BlockList } from 'node:net'
import { IDENTITY_HEADERS, type IdentityHeader } from '../core/identity.ts'
import { createSite, type HostPattern, parseHostPattern, type Site } from '../core/site.ts'
import { attempt } from './attempt.ts'
import { readAuthorizationParams } from './authorization-params.ts'
import { readClientCredentials } from './client-credentials.ts'
import type { Config } from './config.ts'
import { parseKeys } from './encryption-keys.ts'
import { checkInsecureHttp, checkIssuerUrl } from './issuer-url.ts'
import { parseNetworks } from './networks.ts'
import { compileRules } from './rules/access-rules.ts'
import type { RuleSource } from './rules/rules-file.ts'
import type { Settings } from './settings/settings.ts'
import { checkSignOutUrls } from './sign-out-urls.ts'

/** Turns settings into the configuration and checks what concerns more than one of them. */
export function crossCheck(
  settings: Settings,
  ruleSources: readonly RuleSource[] | undefined,
  problems: string[],
): Omit<Config, 'mode' | 'keyFile' | 'redis'> {
  const publicSite = parsePublicUrl(settings, problems)
  // An unreadable rules file leaves open whether it names hosts.
  const hosts = parseHosts(settings, ruleSources !== undefined, problems)
  if (isDomain(settings.COOKIE_DOMAIN, problems)) {
    checkCookieDomain(settings, publicSite, problems)
    for (const host of hosts) checkReach(host, settings, publicSite, problems)
  }
  if (settings.OIDC_ISSUER_URL) {
    checkIssuerUrl('OIDC_ISSUER_URL', settings.OIDC_ISSUER_URL, settings, problems)
  }
  checkSignOutUrls(settings, problems)
  const keys = attempt('SESSION_ENCRYPTION_KEY', KEY_REMEDY, problems, () =>
    settings.SESSION_ENCRYPTION_KEY === undefined
      ? undefined
      : parseKeys(settings.SESSION_ENCRYPTION_KEY),
  )
  attempt('OIDC_CA_FILE', 'name a readable PEM file', problems, () =>
    settings.OIDC_CA_FILE === undefined
      ? undefined
      : new X509Certificate(readFileSync(settings.OIDC_CA_FILE)),
  )
  const trustedNetworks = attempt('TRUSTED_PROXIES', NETWORK_REMEDY, problems, () =>
    parseNetworks(settings.TRUSTED_PROXIES),
  )
  checkPorts(settings, problems)
  return {
    settings,
    hosts,
    rules: compileRules(settings, ruleSources, problems),
    identityHeaders: [...IDENTITY_HEADERS, ...furtherHeaders(settings, problems)],
    clientCredentials: readClientCredentials(settings, problems),
    authorizationParams: readAuthorizationParams(settings, problems),
    trustedNetworks: trustedNetworks ?? new BlockList(),
    isPassingTokens: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
    ...(publicSite && { publicSite }),
    ...(keys && { keys }),
  }
}

/** Refuses one port for both listeners. Port 0 is exempt because it means any free port. */
function checkPorts({ PORT, INTERNAL_PORT }: Settings, problems: string[]): void {
  if (PORT === 0 || PORT !== INTERNAL_PORT) return
  problems.push(`INTERNAL_PORT: is ${PORT}, the same as PORT: give each listener its own port`)
}

const KEY_REMEDY = 'make one with: openssl rand -base64 32'
const NETWORK_REMEDY = 'write 10.0.0.0/8 or a single address'

function parsePublicUrl(settings: Settings, problems: string[]): Site | undefined {
  if (!settings.PUBLIC_URL) return undefined
  const url = URL.parse(settings.PUBLIC_URL)
  const isOrigin = url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`
  if (!isOrigin) {
    problems.push(
      'PUBLIC_URL: is not an origin such as https://auth.example.com; a path goes into BASE_PATH',
    )
    return undefined
  }
  const scheme = url.protocol === 'http:' ? 'http' : 'https'
  if (scheme === 'http') checkInsecureHttp('PUBLIC_URL', url.hostname, settings, problems)
  return createSite(scheme, url.hostname, url.port)
}

function parseHosts(settings: Settings, isAllKnown: boolean, problems: string[]): HostPattern[] {
  if (settings.PROTECTED_HOSTS.length === 0 && isAllKnown) {
    problems.push(
      'PROTECTED_HOSTS: is empty. Name the hosts to protect, e.g. PROTECTED_HOSTS=app.example.com',
    )
  }
  return settings.PROTECTED_HOSTS.flatMap((entry) => {
    const host = parseHostPattern(entry)
    if (host?.scheme === 'http')
      checkInsecureHttp(`PROTECTED_HOSTS: ${entry}`, host.hostname, settings, problems)
    if (host) return [host]
    problems.push(
      `PROTECTED_HOSTS: ${entry} is not of the form app.example.com, *.example.com or http://app.localhost:8080`,
    )
    return []
  })
}

function covers(domain: string | undefined, hostname: string): boolean {
  return domain !== undefined && (hostname === domain || hostname.endsWith(`.${domain}`))
}

function isDomain(domain: string | undefined, problems: string[]): boolean {
  if (domain === undefined || /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(domain)) return true
  problems.push(
    'COOKIE_DOMAIN: is not a domain such as example.com (lower case, no leading dot, no port)',
  )
  return false
}

function checkCookieDomain(
  { COOKIE_DOMAIN }: Settings,
  publicSite: Site | undefined,
  problems: string[],
): void {
  const publicHost = publicSite && new URL(publicSite.origin).hostname
  if (COOKIE_DOMAIN === undefined || publicHost === undefined) return
  if (covers(COOKIE_DOMAIN, publicHost)) return
  problems.push(
    `COOKIE_DOMAIN: ${COOKIE_DOMAIN} does not cover PUBLIC_URL (${publicHost}): set it to a domain above both`,
  )
}

/** Checks that browsers send the session cookie to a protected host. */
function checkReach(
  host: HostPattern,
  settings: Settings,
  publicSite: Site | undefined,
  problems: string[],
): void {
  const { scheme, hostname, port, isWildcard } = host
  if (settings.COOKIE_SAMESITE === 'none' && scheme === 'http') {
    problems.push(`COOKIE_SAMESITE: none needs https, and ${hostname} is an http host`)
  }
  const isOutside =
    settings.COOKIE_DOMAIN !== undefined && !covers(settings.COOKIE_DOMAIN, hostname)
  if (isOutside) {
    problems.push(
      `COOKIE_DOMAIN: ${settings.COOKIE_DOMAIN} does not cover the protected host ${hostname}`,
    )
  }
  if (!publicSite) return
  const isItself = publicSite.host === createSite(scheme, hostname, port).host && !isWildcard
  if (!isItself && settings.COOKIE_DOMAIN === undefined) {
    problems.push(
      `PROTECTED_HOSTS: ${hostname} would never get the session cookie of PUBLIC_URL (${publicSite.host}): set COOKIE_DOMAIN to a domain above both, or leave PUBLIC_URL out`,
    )
  }
  if (scheme !== publicSite.scheme) {
    problems.push(
      `PROTECTED_HOSTS: ${hostname} is an ${scheme} host and PUBLIC_URL is not: their cookies differ`,
    )
  }
}

/** Header names to which a proxy or the check itself gives a meaning. */
const RESERVED =
  /^(?:cookie|set-cookie|authorization|host|connection|content-.*|transfer-encoding|upgrade|te|trailer|location|cache-control|forwarded|x-forwarded-.*|x-real-ip|x-auth-request-.*)$/i

function furtherHeaders(settings: Settings, problems: string[]): IdentityHeader[] {
  return settings.IDENTITY_HEADERS.flatMap((entry) => {
    const match = /^([A-Za-z0-9-]{1,64})=([\x21-\x7e]+)$/.exec(entry)
    const [, name, claim] = match ?? []
    if (name !== undefined && claim !== undefined && !RESERVED.test(name)) return [{ name, claim }]
    problems.push(
      `IDENTITY_HEADERS: ${entry} is not of the form Remote-User=sub with a header name that is free to use`,
    )
    return []
  })
}
