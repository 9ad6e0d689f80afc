import { isIP } from 'node:net'
import type { ServerMetadata } from 'openid-client'
import { isText } from '../../core/claims.ts'
import { cleanUrl } from '../../core/clean-text.ts'
import { ProviderFault } from '../request/provider-errors.ts'
import { BROWSER_ENDPOINTS, type ProviderAddresses } from './internal-address.ts'

/** Use of an issuer: to sign users in, or only for the keys that verify its tokens. */
export type IssuerUse = 'sign-in' | 'keys'

/** Metadata to work with, and what was left out of them. */
export interface UsableMetadata {
  readonly metadata: ServerMetadata
  /** Names each optional endpoint that counts as absent, with the reason. */
  readonly warnings: readonly string[]
}

const NEEDED = {
  'sign-in': ['authorization_endpoint', 'token_endpoint', 'jwks_uri'],
  keys: ['jwks_uri'],
} as const
const OPTIONAL = {
  'sign-in': ['userinfo_endpoint', 'end_session_endpoint', 'revocation_endpoint'],
  keys: [],
} as const

/**
 * Returns the metadata without optional endpoints that are unusable (C21): those over plain http, or at an IP address
 * or local name other than the issuer's or, for what Vestibule itself asks, the internal one (threats A95, A96, finding
 * C29). Throws a `ProviderFault` for one that is needed.
 */
export function usableMetadata(
  found: ServerMetadata,
  addresses: ProviderAddresses & { readonly use: IssuerUse },
): UsableMetadata {
  const { use } = addresses
  for (const endpoint of NEEDED[use]) {
    const fault = faultOf(endpoint, found, addresses)
    if (fault !== undefined) {
      const facts = { endpoint, url: urlOf(found[endpoint]) }
      throw new ProviderFault(`${endpoint} of the provider's metadata ${fault}`, undefined, facts)
    }
  }
  const metadata: Record<string, unknown> = { ...found, ...flagsOf(found) }
  const warnings: string[] = []
  for (const endpoint of OPTIONAL[use]) {
    const fault = found[endpoint] === undefined ? undefined : faultOf(endpoint, found, addresses)
    if (fault === undefined) continue
    warnings.push(`${endpoint} ${fault} (${urlOf(found[endpoint])}) and counts as absent`)
    delete metadata[endpoint]
  }
  return { metadata: metadata as ServerMetadata, warnings }
}

/** Returns members whose other types openid-client takes for `true` and for a list without any algorithm. */
function flagsOf({
  authorization_response_iss_parameter_supported: flag,
  id_token_signing_alg_values_supported: algorithms,
}: ServerMetadata): Readonly<Record<string, unknown>> {
  const named = [algorithms].flat().filter(isText)
  return {
    authorization_response_iss_parameter_supported: flag === true || (flag as unknown) === 'true',
    id_token_signing_alg_values_supported: named.length > 0 ? named : undefined,
  }
}

type Endpoint = (typeof NEEDED)['sign-in'][number] | (typeof OPTIONAL)['sign-in'][number]

/** Returns what is wrong with an endpoint, to follow its name; `undefined` for a usable one. */
function faultOf(
  name: Endpoint,
  found: ServerMetadata,
  addresses: ProviderAddresses,
): string | undefined {
  const endpoint: unknown = found[name]
  if (endpoint === undefined) return 'is missing'
  const url = typeof endpoint === 'string' ? URL.parse(endpoint) : null
  if (!url || url.username || url.password) return 'is not a usable URL'
  const known = knownFor(name, addresses)
  const isPlainHttpToo = url.protocol === 'http:' && isPlainHttpFor(url, known)
  if (url.protocol !== 'https:' && !isPlainHttpToo) return 'is not https'
  return isElsewhereInside(url, known) ? "is at an address other than the issuer's" : undefined
}

/** Returns the addresses beside which an endpoint may lie; browsers do not reach the internal one. */
function knownFor(name: Endpoint, { issuerUrl, internalUrl }: ProviderAddresses): readonly URL[] {
  const isForBrowsers = BROWSER_ENDPOINTS.some((each) => each === name)
  const isInsideToo = internalUrl !== undefined && !isForBrowsers
  return (isInsideToo ? [issuerUrl, internalUrl] : [issuerUrl]).map((each) => new URL(each))
}

/** Accepts plain http everywhere where the issuer is asked over it, and at the internal address. */
function isPlainHttpFor({ origin }: URL, [issuer, internal]: readonly URL[]): boolean {
  return issuer?.protocol === 'http:' || internal?.origin === origin
}

/** Returns whether a host is an IP address or a name of this machine, and not one of those that are known. */
function isElsewhereInside({ hostname }: URL, known: readonly URL[]): boolean {
  const isAddress = isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
  const isInside = isAddress || /(?:^|\.)localhost\.?$/.test(hostname)
  return isInside && !known.some((each) => each.hostname === hostname)
}

function urlOf(endpoint: unknown): string {
  const isWeb = typeof endpoint === 'string' && /^https?:/i.test(endpoint)
  return (isWeb && cleanUrl(endpoint)) || 'no web address'
}
