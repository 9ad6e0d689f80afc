import { setTimeout as pause } from 'node:timers/promises'
import * as client from 'openid-client'
import type { ClientCredentials } from '../core/client-credentials.ts'
import { AuthError } from '../errors.ts'
import { backoffMs } from '../timing/backoff.ts'
import { createSingleFlight } from '../timing/single-flight.ts'
import { clientAuthentication } from './client-authentication.ts'
import { anotherIssuer, checkMetadata, type IssuerUse } from './metadata.ts'
import { foreignIssuerOf } from './provider-errors.ts'
import {
  PROVIDER_TIMEOUT_SECONDS,
  providerFetch,
  REFRESH_TIMEOUT_SECONDS,
} from './provider-fetch.ts'
import { acceptedAlgorithms } from './token-rules.ts'

/** Registration of Vestibule at its provider. */
export interface ProviderOptions {
  readonly issuerUrl: string
  /** Defaults to `sign-in`. */
  readonly use?: IssuerUse
  readonly clientId: string
  readonly credentials: ClientCredentials
  /** The only accepted algorithm of what the provider signs; by default those of its metadata are. */
  readonly signedResponseAlg?: string | undefined
  /** URL template for the sign-out at the provider, instead of the endpoint of the metadata. */
  readonly endSessionTemplate?: string
  readonly onDiscovered: () => void
  readonly onDiscoveryFailed: (cause: unknown) => void
}

/** Provider metadata, discovered in the background so that a provider outage never stops the service (fault F30). */
export interface ProviderConnection {
  /** Throws `AuthError` `provider_unavailable` as long as discovery has not succeeded. */
  configuration(): Promise<client.Configuration>
  /**
   * Returns a configuration with a longer time limit that accepts any time in an ID token, so that no refreshed tokens
   * are lost because of a wrong clock. Throws like `configuration`.
   */
  refreshConfiguration(): Promise<client.Configuration>
  readonly isDiscovered: boolean
  /** Returns the known origins of the provider, for the pages' `form-action`. */
  origins(): readonly string[]
  /** Resolves when the first discovery has succeeded or failed. */
  readonly firstAttempt: Promise<void>
  close(): void
}

/** Accepted difference between clocks. */
export const CLOCK_TOLERANCE_SECONDS = 30

const ANY_TIME_SECONDS = 100 * 365 * 86_400
/** Minimum pause between two discovery attempts, because any visitor's request can cause one (finding C13). */
const MIN_PAUSE_MS = 1000
const RETRY = { minMs: 1000, maxMs: 30_000 } as const
const REFRESH_MS = 60 * 60 * 1000

/** Starts discovery in the background with back-off, and repeats it every hour; the last good metadata stay in use. */
export function connectProvider(options: ProviderOptions): ProviderConnection {
  const discovery = createDiscovery(options)
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  async function keepDiscovering(failures: number): Promise<void> {
    const isFound = await discovery.run()
    if (isClosed) return
    const next = () => void keepDiscovering(isFound ? 0 : failures + 1)
    timer = setTimeout(next, isFound ? REFRESH_MS : backoffMs(failures, RETRY)).unref()
  }

  async function discovered(): Promise<client.Configuration> {
    if (!discovery.configuration) await discovery.run()
    if (discovery.configuration) return discovery.configuration
    throw new AuthError('provider_unavailable', 'the provider has not been discovered yet')
  }

  return {
    configuration: discovered,
    refreshConfiguration: async () => forRefresh(await discovered(), options),
    get isDiscovered() {
      return discovery.configuration !== undefined
    },
    origins() {
      const endSession = options.endSessionTemplate ?? endSessionEndpoint(discovery.configuration)
      return [...new Set([options.issuerUrl, endSession].flatMap(originOf))]
    },
    firstAttempt: keepDiscovering(0),
    close() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}

interface Discovery {
  /** Last good metadata. */
  readonly configuration: client.Configuration | undefined
  /** Starts an attempt or joins the one in flight, and returns whether it succeeded. */
  readonly run: () => Promise<boolean>
}

function createDiscovery(options: ProviderOptions): Discovery {
  let configuration: client.Configuration | undefined
  let attemptedAtMs = Number.NEGATIVE_INFINITY

  const { run } = createSingleFlight(async () => {
    // Delays an attempt instead of failing it, so that the first request after an outage succeeds.
    const leftMs = attemptedAtMs + MIN_PAUSE_MS - performance.now()
    if (leftMs > 0) await pause(leftMs, undefined, { ref: false })
    attemptedAtMs = performance.now()
    try {
      configuration = await discoverOnce(options)
      options.onDiscovered()
      return true
    } catch (cause) {
      options.onDiscoveryFailed(cause)
      return false
    }
  })
  return {
    run,
    get configuration() {
      return configuration
    },
  }
}

async function discoverOnce(options: ProviderOptions): Promise<client.Configuration> {
  const { issuerUrl, use = 'sign-in' } = options
  const isHttp = issuerUrl.startsWith('http:')
  const configuration = await client
    .discovery(
      new URL(issuerUrl),
      options.clientId,
      { [client.clockTolerance]: CLOCK_TOLERANCE_SECONDS },
      clientAuthentication(options.credentials),
      {
        timeout: PROVIDER_TIMEOUT_SECONDS,
        [client.customFetch]: providerFetch as client.CustomFetch,
        ...(isHttp && { execute: [client.allowInsecureRequests] }),
      },
    )
    .catch((cause: unknown) => {
      const found = foreignIssuerOf(cause)
      throw found === undefined ? cause : anotherIssuer(found, use)
    })
  const metadata = configuration.serverMetadata()
  checkMetadata(metadata, issuerUrl, use)
  return configurationFor(withAlgorithms(metadata, options), options, {
    toleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    timeoutSeconds: PROVIDER_TIMEOUT_SECONDS,
  })
}

/** Lists the accepted algorithms, because openid-client accepts RS256 alone where the metadata list none. */
function withAlgorithms(
  metadata: client.ServerMetadata,
  { signedResponseAlg }: ProviderOptions,
): client.ServerMetadata {
  const isListed = metadata.id_token_signing_alg_values_supported?.length
  const algorithms = acceptedAlgorithms(isListed ? metadata : {}, signedResponseAlg)
  return { ...metadata, id_token_signing_alg_values_supported: [...algorithms] }
}

/**
 * Accepts any time, because openid-client drops the tokens on a wrong time in the ID token, which is verified later.
 */
function forRefresh(
  configuration: client.Configuration,
  options: ProviderOptions,
): client.Configuration {
  return configurationFor(configuration.serverMetadata(), options, {
    toleranceSeconds: ANY_TIME_SECONDS,
    timeoutSeconds: REFRESH_TIMEOUT_SECONDS,
  })
}

function configurationFor(
  metadata: client.ServerMetadata,
  { clientId, credentials }: ProviderOptions,
  limits: { readonly toleranceSeconds: number; readonly timeoutSeconds: number },
): client.Configuration {
  const configuration = new client.Configuration(
    metadata,
    clientId,
    { [client.clockTolerance]: limits.toleranceSeconds },
    clientAuthentication(credentials),
  )
  configuration.timeout = limits.timeoutSeconds
  configuration[client.customFetch] = ((url, init) =>
    providerFetch(url, init, limits.timeoutSeconds)) as typeof providerFetch as client.CustomFetch
  if (metadata.issuer.startsWith('http:')) client.allowInsecureRequests(configuration)
  return configuration
}

function endSessionEndpoint(configuration: client.Configuration | undefined): string | undefined {
  return configuration?.serverMetadata().end_session_endpoint
}

function originOf(url: string | undefined): string[] {
  const origin = url && URL.parse(url)?.origin
  return origin ? [origin] : []
}
