import * as client from 'openid-client'
import type { ClientCredentials } from '../../core/client-credentials.ts'
import {
  PROVIDER_TIMEOUT_SECONDS,
  type ProviderFetch,
  REFRESH_TIMEOUT_SECONDS,
} from '../request/provider-fetch.ts'
import type { ProviderRequest } from '../request/sent-secrets.ts'
import { CLOCK_TOLERANCE_SECONDS } from '../tokens/token-rules.ts'
import { acceptedAlgorithms } from './accepted-algorithms.ts'
import {
  clientAuthentication,
  type DecidedCredentials,
  decideCredentials,
  offeredMethods,
} from './client-authentication.ts'

/** Configurations of openid-client, made once for each discovery. */
export interface ProviderConfigurations {
  readonly usual: client.Configuration
  /** Waits longer and accepts any time in an ID token, which is verified later. */
  readonly forRefresh: client.Configuration
  /** Says what the metadata do not offer although it is used. */
  readonly warnings: readonly string[]
}

export interface ConfigurationOptions {
  readonly clientId: string
  readonly credentials: ClientCredentials
  readonly signedResponseAlg?: string | undefined
  readonly fetch: ProviderFetch
}

const ANY_TIME_SECONDS = 100 * 365 * 86_400

/** Makes the configurations for a provider's metadata, with the client authentication that these offer (C28). */
export function createConfigurations(
  found: client.ServerMetadata,
  { clientId, credentials, signedResponseAlg, fetch }: ConfigurationOptions,
): ProviderConfigurations {
  const metadata = withAlgorithms(found, signedResponseAlg)
  const offered = offeredMethods(metadata)
  const decided = decideCredentials(credentials, offered)
  const create = (seconds: number, toleranceSeconds: number) => {
    const configuration = new client.Configuration(
      metadata,
      clientId,
      { [client.clockTolerance]: toleranceSeconds },
      clientAuthentication(decided),
    )
    // The fetch has the time limit.
    configuration.timeout = undefined
    configuration[client.customFetch] = createFetch(
      { metadata, fetch, seconds },
      describeMethods(decided, offered),
    )
    if (usesPlainHttp(metadata)) client.allowInsecureRequests(configuration)
    return configuration
  }
  return {
    usual: create(PROVIDER_TIMEOUT_SECONDS, CLOCK_TOLERANCE_SECONDS),
    // Accepts any time, because openid-client drops the tokens on a wrong time in the ID token.
    forRefresh: create(REFRESH_TIMEOUT_SECONDS, ANY_TIME_SECONDS),
    warnings: warningsOf(decided, offered),
  }
}

const metadataOfConfigurations = new WeakMap<client.Configuration, client.ServerMetadata>()

/** Returns the metadata of a configuration, copied once, because the library copies them at each call. */
export function metadataOf(configuration: client.Configuration): client.ServerMetadata {
  return metadataOfConfigurations.getOrInsertComputed(configuration, (each) =>
    each.serverMetadata(),
  )
}

/** Lists the accepted algorithms, because openid-client accepts RS256 alone where the metadata list none (C66). */
function withAlgorithms(
  metadata: client.ServerMetadata,
  registered: string | undefined,
): client.ServerMetadata {
  const isListed = metadata.id_token_signing_alg_values_supported?.length
  const algorithms = acceptedAlgorithms(isListed ? metadata : {}, registered)
  const { userinfo_signing_alg_values_supported: further } = metadata
  const isFurther = registered === undefined && Array.isArray(further)
  return {
    ...metadata,
    id_token_signing_alg_values_supported: [...algorithms],
    userinfo_signing_alg_values_supported: [...algorithms, ...(isFurther ? further : [])],
  }
}

/** Endpoints where the client authenticates itself. */
const AUTHENTICATED = ['token_endpoint', 'revocation_endpoint'] as const
const ENDPOINTS = [...AUTHENTICATED, 'userinfo_endpoint'] as const

interface NamedFetchOptions {
  readonly metadata: client.ServerMetadata
  readonly fetch: ProviderFetch
  readonly seconds: number
}

/** Names the endpoint of each request for the log, and the client authentication where there is one. */
function createFetch(
  { metadata, fetch, seconds }: NamedFetchOptions,
  authentication: string,
): client.CustomFetch {
  const facts = new Map(
    ENDPOINTS.map((endpoint) => [
      URL.parse(metadata[endpoint] ?? '')?.href,
      AUTHENTICATED.some((each) => each === endpoint)
        ? { endpoint, client_authentication: authentication }
        : { endpoint },
    ]),
  )
  return (url, init) =>
    fetch(url, init as ProviderRequest, { seconds, facts: facts.get(url) ?? {} })
}

function describeMethods({ method }: DecidedCredentials, offered: readonly string[]): string {
  const known = offered.filter((each) => /^[a-z0-9_]{1,40}$/.test(each)).slice(0, 10)
  return `${method} (offered: ${known.join(', ') || 'none that is known'})`
}

/** Says that the method in use is not offered; a public client's `none` is often left out of the metadata. */
function warningsOf(decided: DecidedCredentials, offered: readonly string[]): readonly string[] {
  if (decided.method === 'none' || offered.includes(decided.method)) return []
  return [
    `the provider does not offer the client authentication in use: ${describeMethods(decided, offered)}; set OIDC_TOKEN_ENDPOINT_AUTH_METHOD, or the client's method at the provider`,
  ]
}

/** Returns whether any address is plain http, which the check of the metadata leaves only where it is allowed. */
function usesPlainHttp(metadata: client.ServerMetadata): boolean {
  const { issuer } = metadata
  return [issuer, ...ENDPOINTS.map((name) => metadata[name])].some((url) =>
    url?.startsWith('http:'),
  )
}
