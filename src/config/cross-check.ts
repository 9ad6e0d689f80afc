import type { Config } from '../config.ts'
import { IDENTITY_HEADERS, type IdentityHeader } from '../core/identity.ts'
import { createSite, type HostPattern, parseHostPattern, type Site } from '../core/site.ts'
import { parseKeys } from '../seal.ts'
import { compileRules } from './access-rules.ts'
import { parseNetworks } from './networks.ts'
import type { RuleSource } from './rules-file.ts'
import type { Settings } from './settings.ts'

/** Turns settings into what the service uses and checks what concerns more than one of them. */
export function crossCheck(
  settings: Settings,
  ruleSources: readonly RuleSource[],
  problems: string[],
): Omit<Config, 'keyFile'> {
  const publicSite = parsePublicUrl(settings, problems)
  const hosts = parseHosts(settings, problems)
  checkCookieDomain(settings, hosts, publicSite, problems)
  checkProvider(settings, problems)
  checkProxies(settings, problems)
  const keys = readKeys(settings, problems)
  return {
    settings,
    hosts,
    rules: compileRules(settings, ruleSources, problems),
    identityHeaders: [...IDENTITY_HEADERS, ...furtherHeaders(settings, problems)],
    ...(publicSite && { publicSite }),
    ...(keys && { keys }),
  }
}

function isLocal(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname.startsWith('127.')
}

function parsePublicUrl(settings: Settings, problems: string[]): Site | undefined {
  if (!settings.PUBLIC_URL) return undefined
  const url = URL.parse(settings.PUBLIC_URL)
  const isHttp = url?.protocol === 'http:'
  if (
    !url ||
    (url.protocol !== 'https:' && !isHttp) ||
    url.pathname !== '/' ||
    url.search ||
    url.hash ||
    url.username
  ) {
    problems.push(
      'PUBLIC_URL: is not an origin such as https://auth.example.com; a path goes into BASE_PATH',
    )
    return undefined
  }
  if (isHttp && !isLocal(url.hostname) && !settings.ALLOW_INSECURE_HTTP) {
    problems.push(
      'PUBLIC_URL: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true',
    )
  }
  return createSite(isHttp ? 'http' : 'https', url.hostname, url.port)
}

function parseHosts(settings: Settings, problems: string[]): HostPattern[] {
  if (settings.PROTECTED_HOSTS.length === 0) {
    problems.push(
      'PROTECTED_HOSTS: is empty. Name the hosts to protect, e.g. PROTECTED_HOSTS=app.example.com',
    )
  }
  return settings.PROTECTED_HOSTS.flatMap((entry) => {
    const host = parseHostPattern(entry)
    if (!host) {
      problems.push(
        `PROTECTED_HOSTS: ${entry} is not of the form app.example.com, *.example.com or http://app.localhost:8080`,
      )
      return []
    }
    if (host.scheme === 'http' && !isLocal(host.hostname) && !settings.ALLOW_INSECURE_HTTP) {
      problems.push(
        `PROTECTED_HOSTS: ${entry}: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true`,
      )
    }
    return [host]
  })
}

function checkCookieDomain(
  { COOKIE_DOMAIN, COOKIE_SAMESITE }: Settings,
  hosts: readonly HostPattern[],
  publicSite: Site | undefined,
  problems: string[],
): void {
  const domain = COOKIE_DOMAIN?.toLowerCase()
  if (domain !== undefined && !/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(domain)) {
    problems.push('COOKIE_DOMAIN: is not a domain such as example.com (no leading dot, no port)')
  }
  const covers = (hostname: string) =>
    domain !== undefined && (hostname === domain || hostname.endsWith(`.${domain}`))
  const publicHost = publicSite && new URL(publicSite.origin).hostname
  if (domain !== undefined && publicHost !== undefined && !covers(publicHost)) {
    problems.push(
      `COOKIE_DOMAIN: ${domain} does not cover PUBLIC_URL (${publicHost}): set it to a domain above both`,
    )
  }
  for (const { hostname, port, scheme, isWildcard } of hosts) {
    if (COOKIE_SAMESITE === 'none' && scheme === 'http') {
      problems.push(`COOKIE_SAMESITE: none needs https, and ${hostname} is an http host`)
    }
    const isPublic = publicSite?.host === createSite(scheme, hostname, port).host && !isWildcard
    if (publicSite && !isPublic && !covers(hostname)) {
      problems.push(
        `PROTECTED_HOSTS: ${hostname} would never get the session cookie of PUBLIC_URL (${publicHost}): set COOKIE_DOMAIN to a domain above both, or leave PUBLIC_URL out`,
      )
    }
    if (publicSite && scheme !== publicSite.scheme) {
      problems.push(
        `PROTECTED_HOSTS: ${hostname} is an ${scheme} host and PUBLIC_URL is not: their cookies have different names`,
      )
    }
  }
}

function checkProvider(settings: Settings, problems: string[]): void {
  const issuer =
    settings.OIDC_ISSUER_URL === undefined ? undefined : URL.parse(settings.OIDC_ISSUER_URL)
  if (settings.OIDC_ISSUER_URL !== undefined) {
    const isHttps = issuer?.protocol === 'https:'
    const isHttp = issuer?.protocol === 'http:'
    if (!issuer || (!isHttps && !isHttp) || issuer.search || issuer.hash) {
      problems.push('OIDC_ISSUER_URL: is not a URL such as https://id.example.com')
    } else if (isHttp && !isLocal(issuer.hostname) && !settings.ALLOW_INSECURE_HTTP) {
      problems.push(
        'OIDC_ISSUER_URL: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true',
      )
    }
  }
  const method = settings.OIDC_TOKEN_ENDPOINT_AUTH_METHOD
  if (method !== undefined && method !== 'none' && !settings.OIDC_CLIENT_SECRET) {
    problems.push(
      `OIDC_CLIENT_SECRET: is missing, and OIDC_TOKEN_ENDPOINT_AUTH_METHOD is ${method}`,
    )
  }
}

function checkProxies(settings: Settings, problems: string[]): void {
  try {
    parseNetworks(settings.TRUSTED_PROXIES)
  } catch (error) {
    problems.push(
      `TRUSTED_PROXIES: ${(error as Error).message}; write 10.0.0.0/8 or a single address`,
    )
  }
}

function readKeys(settings: Settings, problems: string[]): readonly Buffer[] | undefined {
  if (settings.SESSION_ENCRYPTION_KEY === undefined) return undefined
  try {
    return parseKeys(settings.SESSION_ENCRYPTION_KEY)
  } catch (error) {
    problems.push(
      `SESSION_ENCRYPTION_KEY: ${(error as Error).message}; make one with: openssl rand -base64 32`,
    )
    return undefined
  }
}

/** Names that a proxy or the check itself gives another meaning. */
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
