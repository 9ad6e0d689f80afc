import { isIP } from 'node:net'
import type { ServerMetadata } from 'openid-client'
import { cleanUrl } from '../core/clean-text.ts'
import { ProviderFault } from './provider-errors.ts'

/** Use of an issuer: to sign users in, or only for the keys that verify its tokens. */
export type IssuerUse = 'sign-in' | 'keys'

/** Optional endpoint that counts as absent. */
export interface UnusableEndpoint {
  readonly endpoint: string
  readonly reason: string
  readonly url: string
}

/** Metadata to work with, and what was left out of them. */
export interface UsableMetadata {
  readonly metadata: ServerMetadata
  readonly unusable: readonly UnusableEndpoint[]
}

const NEEDED = {
  'sign-in': ['authorization_endpoint', 'token_endpoint', 'jwks_uri'],
  keys: ['jwks_uri'],
} as const
const OPTIONAL = {
  'sign-in': ['userinfo_endpoint', 'end_session_endpoint', 'revocation_endpoint'],
  keys: [],
} as const

/** Bounds what is logged of another issuer, unchanged because it is to be copied. */
const ISSUER_MAX_CHARS = 500

/**
 * Returns the metadata without optional endpoints that are unusable (C21). Throws a `ProviderFault` for metadata of
 * another issuer (OpenID Connect Discovery 1.0 section 4.3). An endpoint is unusable over plain http or at an IP address
 * or local name other than the issuer's (threats A95, A96); one that is needed throws as well.
 */
export function usableMetadata(
  found: ServerMetadata,
  issuerUrl: string,
  use: IssuerUse,
): UsableMetadata {
  if (found.issuer !== issuerUrl) throw anotherIssuer(found.issuer, issuerUrl, use)
  const issuer = new URL(issuerUrl)
  for (const endpoint of NEEDED[use]) {
    const fault = faultOf(found[endpoint], issuer)
    if (fault !== undefined) throw unusable(endpoint, fault, found[endpoint])
  }
  const metadata: Record<string, unknown> = { ...found, ...flagsOf(found) }
  const left: UnusableEndpoint[] = []
  for (const endpoint of OPTIONAL[use]) {
    const fault = found[endpoint] === undefined ? undefined : faultOf(found[endpoint], issuer)
    if (fault === undefined) continue
    left.push({ endpoint, reason: fault, url: urlOf(found[endpoint]) })
    delete metadata[endpoint]
  }
  return { metadata: metadata as ServerMetadata, unusable: left }
}

/** Returns the error for metadata of another issuer; its message names the setting to correct. */
export function anotherIssuer(found: unknown, issuerUrl: string, use: IssuerUse): ProviderFault {
  const setting = use === 'sign-in' ? 'OIDC_ISSUER_URL' : 'the issuer in the rules'
  const named = String(found).slice(0, ISSUER_MAX_CHARS)
  // Entra's address for all tenants, under which no token is issued (C33).
  const remedy = named.includes('{tenantid}')
    ? `set ${setting} to that with the id of your tenant`
    : `set ${setting} to exactly that`
  return new ProviderFault(`the provider calls itself ${named}; ${remedy}`, undefined, {
    endpoint: 'discovery',
    claim: 'issuer',
    expected: issuerUrl,
    received: named,
    setting,
  })
}

function unusable(endpoint: string, fault: string, found: unknown): ProviderFault {
  const message = `${endpoint} of the provider's metadata ${fault}`
  return new ProviderFault(message, undefined, { endpoint, url: urlOf(found) })
}

/** Returns members whose other types openid-client takes for `true` and for a list without any algorithm. */
function flagsOf(found: ServerMetadata): Readonly<Record<string, unknown>> {
  const {
    authorization_response_iss_parameter_supported: flag,
    id_token_signing_alg_values_supported: algorithms,
  } = found
  const isSupported = flag === true || (flag as unknown) === 'true'
  const isList = Array.isArray(algorithms) && algorithms.length > 0
  return {
    authorization_response_iss_parameter_supported: isSupported,
    id_token_signing_alg_values_supported: isList ? algorithms : undefined,
  }
}

/** Returns what is wrong with an endpoint, to follow its name; `undefined` for a usable one. */
function faultOf(endpoint: unknown, issuer: URL): string | undefined {
  if (endpoint === undefined) return 'is missing'
  const url = typeof endpoint === 'string' ? URL.parse(endpoint) : null
  if (!url || url.username || url.password) return 'is not a usable URL'
  const isPlainHttpToo = url.protocol === 'http:' && issuer.protocol === 'http:'
  if (url.protocol !== 'https:' && !isPlainHttpToo) return 'is not https'
  return isElsewhereInside(url.hostname, issuer.hostname)
    ? "is at an address other than the issuer's"
    : undefined
}

/** Returns whether a host is an IP address or a name of this machine, and not the issuer's own host. */
function isElsewhereInside(host: string, issuerHost: string): boolean {
  const isAddress = isIP(host.replace(/^\[|\]$/g, '')) !== 0
  return host !== issuerHost && (isAddress || /(?:^|\.)localhost\.?$/.test(host))
}

function urlOf(endpoint: unknown): string {
  return typeof endpoint === 'string' ? cleanUrl(endpoint) : ''
}
