import type { ServerMetadata } from 'openid-client'

/** Addresses of one provider: for browsers and tokens, and where Vestibule itself asks. */
export interface ProviderAddresses {
  readonly issuerUrl: string
  /** Counterpart of the whole issuer URL inside; absent where both are the same. */
  readonly internalUrl?: string
}

/** Endpoints that only browsers visit. */
export const BROWSER_ENDPOINTS = ['authorization_endpoint', 'end_session_endpoint'] as const
const OWN_ENDPOINTS = [
  'token_endpoint',
  'userinfo_endpoint',
  'revocation_endpoint',
  'jwks_uri',
] as const

/**
 * Returns the metadata with an endpoint that begins with either address at the one that its visitor reaches
 * (finding C29); any other stays as it is.
 */
export function placeEndpoints(
  metadata: ServerMetadata,
  { issuerUrl, internalUrl }: ProviderAddresses,
): ServerMetadata {
  if (internalUrl === undefined) return metadata
  const placed: Record<string, unknown> = { ...metadata }
  const place = (names: readonly string[], from: string, to: string) => {
    for (const name of names) placed[name] = moved(placed[name], from, to)
  }
  place(BROWSER_ENDPOINTS, internalUrl, issuerUrl)
  place(OWN_ENDPOINTS, issuerUrl, internalUrl)
  return placed as ServerMetadata
}

/** Returns the address of the metadata (OpenID Connect Discovery 1.0 section 4.1). */
export function metadataUrlOf({ issuerUrl, internalUrl = issuerUrl }: ProviderAddresses): string {
  return `${withoutSlash(new URL(internalUrl).href)}/.well-known/openid-configuration`
}

function moved(endpoint: unknown, from: string, to: string): unknown {
  const href = typeof endpoint === 'string' ? URL.parse(endpoint)?.href : undefined
  const base = withoutSlash(new URL(from).href)
  if (!href?.startsWith(base) || !/^(?:$|[/?#])/.test(href.slice(base.length))) return endpoint
  return `${withoutSlash(new URL(to).href)}${href.slice(base.length)}`
}

function withoutSlash(url: string): string {
  return url.replace(/\/$/, '')
}
