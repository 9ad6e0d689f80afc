import { setTimeout as pause } from 'node:timers/promises'
import * as client from 'openid-client'
import type { ClientCredentials } from '../core/client-credentials.ts'
import { AuthError } from '../errors.ts'
import { clientAuthentication } from './client-authentication.ts'
import { anotherIssuer, checkMetadata, type IssuerUse } from './metadata.ts'
import {
  PROVIDER_TIMEOUT_SECONDS,
  providerFetch,
  REFRESH_TIMEOUT_SECONDS,
} from './provider-fetch.ts'

/** How Vestibule is registered at its provider. */
export interface ProviderOptions {
  readonly issuerUrl: string
  /** Default: to sign people in. */
  readonly use?: IssuerUse
  readonly clientId: string
  readonly credentials: ClientCredentials
  /** Where browsers are sent to sign out, if not to the endpoint of the metadata. */
  readonly endSessionTemplate?: string
  readonly onDiscovered: () => void
  readonly onDiscoveryFailed: (cause: unknown) => void
}

/** The provider's metadata, had when it is there; waiting for it never stops the service (fault F30). */
export interface ProviderConnection {
  /** Throws `AuthError` `provider_unavailable` as long as discovery has not succeeded. */
  configuration(): Promise<client.Configuration>
  /** The same for refreshes, which may take longer, and whose tokens are not lost because a clock is wrong. Throws alike. */
  refreshConfiguration(): Promise<client.Configuration>
  readonly isDiscovered: boolean
  /** Known origins of the provider, for the pages' `form-action`. */
  origins(): readonly string[]
  /** Resolves when the first attempt has ended, either way. */
  readonly firstAttempt: Promise<void>
  close(): void
}

/** Clocks may differ by this much. */
export const CLOCK_TOLERANCE_SECONDS = 30

const ANY_TIME_SECONDS = 100 * 365 * 86_400
/** Minimum pause between two discovery attempts, because any visitor's request can cause one (finding C13). */
const MIN_PAUSE_MS = 1000
const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 30_000
const REFRESH_MS = 60 * 60 * 1000

/** Starts discovery in the background, tries again with growing pauses, and anew every hour; the last good metadata stay. */
export function connectProvider(options: ProviderOptions): ProviderConnection {
  let configuration: client.Configuration | undefined
  let attempt: Promise<boolean> | undefined
  let attemptedAtMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  /**
   * Delays an attempt to the end of the pause instead of failing it, so that the first request after an outage
   * succeeds.
   */
  const discoverInTurn = async () => {
    const leftMs = attemptedAtMs + MIN_PAUSE_MS - performance.now()
    if (leftMs > 0) await pause(leftMs, undefined, { ref: false })
    attemptedAtMs = performance.now()
    return discoverOnce(options)
  }
  const discover = () => {
    attempt ??= discoverInTurn()
      .then((found) => {
        configuration = found
        options.onDiscovered()
        return true
      })
      .catch((cause: unknown) => {
        options.onDiscoveryFailed(cause)
        return false
      })
      .finally(() => {
        attempt = undefined
      })
    return attempt
  }
  const keepDiscovering = async (failures: number): Promise<void> => {
    const isFound = await discover()
    if (isClosed) return
    const backoffMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures) * (0.5 + Math.random())
    const next = () => void keepDiscovering(isFound ? 0 : failures + 1)
    timer = setTimeout(next, isFound ? REFRESH_MS : backoffMs)
    timer.unref()
  }

  async function discovered(): Promise<client.Configuration> {
    if (!configuration) await discover()
    if (configuration) return configuration
    throw new AuthError('provider_unavailable', 'the provider has not been discovered yet')
  }

  return {
    configuration: discovered,
    refreshConfiguration: async () => forRefresh(await discovered(), options),
    get isDiscovered() {
      return configuration !== undefined
    },
    origins() {
      const endSession = options.endSessionTemplate ?? endSessionEndpoint(configuration)
      return [...new Set([options.issuerUrl, endSession].flatMap(originOf))]
    },
    firstAttempt: keepDiscovering(0),
    close() {
      isClosed = true
      clearTimeout(timer)
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
      const found = foreignIssuer(cause)
      throw found === undefined ? cause : anotherIssuer(found, use)
    })
  checkMetadata(configuration.serverMetadata(), issuerUrl, use)
  return configuration
}

/** openid-client would drop tokens for the times in an ID token, which is verified once more by us. */
function forRefresh(
  configuration: client.Configuration,
  { clientId, credentials }: ProviderOptions,
): client.Configuration {
  const metadata = configuration.serverMetadata()
  const patient = new client.Configuration(
    metadata,
    clientId,
    { [client.clockTolerance]: ANY_TIME_SECONDS },
    clientAuthentication(credentials),
  )
  patient.timeout = REFRESH_TIMEOUT_SECONDS
  patient[client.customFetch] = ((url, init) =>
    providerFetch(url, init, REFRESH_TIMEOUT_SECONDS)) as typeof providerFetch as client.CustomFetch
  if (metadata.issuer.startsWith('http:')) client.allowInsecureRequests(patient)
  return patient
}

/** What the metadata have for an issuer where the library has refused them for it. */
function foreignIssuer(cause: unknown): unknown {
  if (!(cause instanceof client.ClientError)) return undefined
  if (cause.code !== 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED') return undefined
  const details = cause.cause instanceof Error ? cause.cause.cause : cause.cause
  const { body } = details as { readonly body: { readonly issuer: unknown } }
  return body.issuer
}

function endSessionEndpoint(configuration: client.Configuration | undefined): string | undefined {
  return configuration?.serverMetadata().end_session_endpoint
}

function originOf(url: string | undefined): string[] {
  const origin = url && URL.parse(url)?.origin
  return origin ? [origin] : []
}
