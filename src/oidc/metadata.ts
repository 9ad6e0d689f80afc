import { isIP } from 'node:net'
import type { ServerMetadata } from 'openid-client'
import { BROWSER_ENDPOINTS, type ProviderAddresses } from './internal-address.ts'
import { ProviderFault } from './provider-errors.ts'

/** Use of an issuer: to sign users in, or only for the keys that verify its tokens. */
export type IssuerUse = 'sign-in' | 'keys'

const NEEDED = {
  'sign-in': ['authorization_endpoint', 'token_endpoint', 'jwks_uri'],
  keys: ['jwks_uri'],
} as const
const USED = {
  'sign-in': [
    ...NEEDED['sign-in'],
    'userinfo_endpoint',
    'end_session_endpoint',
    'revocation_endpoint',
  ],
  keys: NEEDED.keys,
} as const

/**
 * Throws a `ProviderFault` for endpoints over plain http or at an IP address or local name other than the issuer's, or the
 * internal one for what Vestibule itself asks (threats A95, A96, finding C29).
 */
export function checkMetadata(
  metadata: ServerMetadata,
  { issuerUrl, internalUrl, use }: ProviderAddresses & { readonly use: IssuerUse },
): void {
  const issuer = new URL(issuerUrl)
  const internal = internalUrl === undefined ? undefined : new URL(internalUrl)
  for (const name of USED[use]) {
    const endpoint = metadata[name]
    if (endpoint === undefined) continue
    const isForBrowsers = BROWSER_ENDPOINTS.some((each) => each === name)
    checkEndpoint(name, endpoint, internal && !isForBrowsers ? [issuer, internal] : [issuer])
  }
  for (const name of NEEDED[use]) {
    if (!metadata[name]) throw new ProviderFault(`the provider's metadata have no ${name}`)
  }
}

function checkEndpoint(name: string, endpoint: string, known: readonly URL[]): void {
  const url = URL.parse(endpoint)
  if (!url || url.username || url.password) throw new ProviderFault(`${name} is not a usable URL`)
  const isPlainHttpToo = url.protocol === 'http:' && isPlainHttpFor(url, known)
  if (url.protocol !== 'https:' && !isPlainHttpToo) throw new ProviderFault(`${name} is not https`)
  const isAddress = isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0
  const isInside = isAddress || /(?:^|\.)localhost\.?$/.test(url.hostname)
  if (isInside && !known.some(({ hostname }) => hostname === url.hostname)) {
    throw new ProviderFault(`${name} is at an address other than the issuer's`)
  }
}

/** Accepts plain http everywhere where the issuer is asked over it, and at the internal address. */
function isPlainHttpFor({ origin }: URL, [issuer, internal]: readonly URL[]): boolean {
  return issuer?.protocol === 'http:' || internal?.origin === origin
}
