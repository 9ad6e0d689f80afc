import { isIP } from 'node:net'
import type { ServerMetadata } from 'openid-client'
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
 * Throws a `ProviderFault` for metadata of another issuer (OpenID Connect Discovery 1.0 section 4.3) and for endpoints over
 * plain http or at an IP address or local name other than the issuer's (threats A95, A96).
 */
export function checkMetadata(metadata: ServerMetadata, issuerUrl: string, use: IssuerUse): void {
  if (metadata.issuer !== issuerUrl) throw anotherIssuer(metadata.issuer, use)
  const issuer = new URL(issuerUrl)
  for (const name of USED[use]) {
    const endpoint = metadata[name]
    if (endpoint !== undefined) checkEndpoint(name, endpoint, issuer)
  }
  for (const name of NEEDED[use]) {
    if (!metadata[name]) throw new ProviderFault(`the provider's metadata have no ${name}`)
  }
}

/** Returns the error for metadata of another issuer; its message names the setting to correct. */
export function anotherIssuer(found: unknown, use: IssuerUse): ProviderFault {
  const setting = use === 'sign-in' ? 'OIDC_ISSUER_URL' : 'the issuer in the rules'
  return new ProviderFault(
    `the provider calls itself ${String(found)}; set ${setting} to exactly that`,
  )
}

function checkEndpoint(name: string, endpoint: string, issuer: URL): void {
  const url = URL.parse(endpoint)
  if (!url || url.username || url.password) throw new ProviderFault(`${name} is not a usable URL`)
  const isPlainHttpToo = url.protocol === 'http:' && issuer.protocol === 'http:'
  if (url.protocol !== 'https:' && !isPlainHttpToo) throw new ProviderFault(`${name} is not https`)
  const isAddress = isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0
  const isInside = isAddress || /(?:^|\.)localhost\.?$/.test(url.hostname)
  if (isInside && url.hostname !== issuer.hostname) {
    throw new ProviderFault(`${name} is at an address other than the issuer's`)
  }
}
