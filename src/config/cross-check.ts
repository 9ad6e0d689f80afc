import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BlockList } from 'node:net'
import type { TokenKind } from '../core/session.ts'
import { attempt } from './attempt.ts'
import { readAuthorizationParams } from './authorization-params.ts'
import { readClientCredentials } from './client-credentials.ts'
import type { CommonConfig } from './config.ts'
import { checkCookies } from './cookie-domain.ts'
import { parseKeys } from './encryption-keys.ts'
import { parseHosts, parsePublicUrl } from './hosts.ts'
import { readIdentityHeaders } from './identity-headers.ts'
import { checkInternalTls } from './internal-tls.ts'
import { checkInternalUrl, checkIssuerUrl } from './issuer-url.ts'
import { NETWORK_REMEDY, parseNetworks } from './networks.ts'
import { readProxies } from './proxies.ts'
import { compileRules } from './rules/access-rules.ts'
import type { RulesFile } from './rules/rules-file.ts'
import type { Settings } from './settings/settings.ts'
import { checkSignOutUrls } from './sign-out-urls.ts'

/** Turns settings into the configuration and checks what concerns more than one of them. */
export function crossCheck(
  settings: Settings,
  rulesFile: RulesFile | undefined,
  problems: string[],
): Omit<CommonConfig, 'keyFile' | 'ruleFiles' | 'readAgain' | 'origins' | 'notices'> {
  const publicSite = parsePublicUrl(settings, problems)
  // An unreadable rules file leaves open whether it names hosts.
  const hosts = parseHosts(settings, rulesFile !== undefined, problems)
  checkCookies(settings, hosts, publicSite, problems)
  if (settings.OIDC_ISSUER_URL) {
    checkIssuerUrl('OIDC_ISSUER_URL', settings.OIDC_ISSUER_URL, settings, problems)
  }
  checkInternalUrl(settings, problems)
  checkSignOutUrls(settings, problems)
  const keys = readKeys(settings, problems)
  checkCaFile(settings, problems)
  const trustedNetworks = attempt('TRUSTED_PROXIES', NETWORK_REMEDY, problems, () =>
    parseNetworks(settings.TRUSTED_PROXIES),
  )
  checkPorts(settings, problems)
  checkTokens(settings, problems)
  const proxies = readProxies(settings, problems)
  const internalTls = checkInternalTls(settings, problems)
  return {
    settings,
    hosts,
    rules: compileRules(settings, rulesFile, problems),
    identityHeaders: readIdentityHeaders(settings, problems),
    clientCredentials: readClientCredentials(settings, problems),
    authorizationParams: readAuthorizationParams(settings, problems),
    trustedNetworks: trustedNetworks ?? new BlockList(),
    passedTokens: passedTokens(settings),
    ...(publicSite && { publicSite }),
    ...(proxies && { proxies }),
    ...(internalTls && { internalTls }),
    ...(keys && { keys }),
  }
}

function passedTokens(settings: Settings): ReadonlySet<TokenKind> {
  const { PASS_ACCESS_TOKEN, PASS_AUTHORIZATION } = settings
  const kinds = [PASS_ACCESS_TOKEN && 'access-token', PASS_AUTHORIZATION] as const
  return new Set(kinds.filter((kind) => kind !== false))
}

function readKeys({ SESSION_ENCRYPTION_KEY: keys }: Settings, problems: string[]) {
  return attempt('SESSION_ENCRYPTION_KEY', KEY_REMEDY, problems, () =>
    keys === undefined ? undefined : parseKeys(keys),
  )
}

function checkCaFile({ OIDC_CA_FILE: file }: Settings, problems: string[]): void {
  attempt('OIDC_CA_FILE', 'name a readable PEM file', problems, () =>
    file === undefined ? undefined : new X509Certificate(readFileSync(file)),
  )
}

/** Refuses one port for both listeners. Port 0 is exempt because it means any free port. */
function checkPorts({ PORT, INTERNAL_PORT }: Settings, problems: string[]): void {
  if (PORT === 0 || PORT !== INTERNAL_PORT) return
  problems.push(`INTERNAL_PORT: is ${PORT}, the same as PORT: give each listener its own port`)
}

/** Refuses one token for both, because apps that may broadcast would be operators. */
function checkTokens({ ADMIN_TOKEN, BROADCAST_TOKEN }: Settings, problems: string[]): void {
  if (BROADCAST_TOKEN === undefined || BROADCAST_TOKEN !== ADMIN_TOKEN) return
  problems.push(
    'BROADCAST_TOKEN: is the same as ADMIN_TOKEN, so it would open all of /admin: make another one',
  )
}

const KEY_REMEDY = 'make one with: openssl rand -base64 32'
