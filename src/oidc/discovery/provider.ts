import { setTimeout as pause } from 'node:timers/promises'
import type { Configuration } from 'openid-client'
import type { ClientCredentials } from '../../core/client-credentials.ts'
import { AuthError } from '../../errors.ts'
import { backoffMs } from '../../timing/backoff.ts'
import { createSingleFlight } from '../../timing/single-flight.ts'
import { faultIn, type ProviderFault } from '../request/provider-errors.ts'
import type { ProviderFetch } from '../request/provider-fetch.ts'
import { createConfigurations, type ProviderConfigurations } from './configurations.ts'
import { discover } from './discovery.ts'
import type { ProviderAddresses } from './internal-address.ts'
import type { IssuerUse } from './metadata.ts'

/** Registration of Vestibule at its provider. */
export interface ProviderOptions extends ProviderAddresses {
  /** Defaults to `sign-in`. */
  readonly use?: IssuerUse
  readonly fetch: ProviderFetch
  readonly clientId: string
  readonly credentials: ClientCredentials
  /** The only accepted algorithm of what the provider signs; by default those of its metadata are. */
  readonly signedResponseAlg?: string | undefined
  /** URL template for the sign-out at the provider, instead of the endpoint of the metadata. */
  readonly endSessionTemplate?: string
  /** Receives what the provider does not offer although it is used, and which optional endpoints are unusable. */
  readonly onDiscovered: (warnings: readonly string[]) => void
  readonly onDiscoveryFailed: (cause: unknown) => void
}

/** Provider metadata, discovered in the background so that a provider outage never stops the service (fault F30). */
export interface ProviderConnection {
  /** Throws `AuthError` `provider_unavailable` as long as discovery has not succeeded. */
  configuration(): Promise<Configuration>
  /**
   * Returns a configuration with a longer time limit that accepts any time in an ID token, so that no refreshed tokens
   * are lost because of a wrong clock. Throws like `configuration`.
   */
  refreshConfiguration(): Promise<Configuration>
  readonly isDiscovered: boolean
  /** Returns the known origins of the provider, for the pages' `form-action`. */
  origins(): readonly string[]
  /** Resolves when the first discovery has succeeded or failed. */
  readonly firstAttempt: Promise<void>
  close(): void
}

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

  async function discovered(): Promise<ProviderConfigurations> {
    if (!discovery.found) await discovery.run()
    if (discovery.found) return discovery.found
    throw undiscovered(discovery.fault)
  }

  return {
    configuration: async () => (await discovered()).usual,
    refreshConfiguration: async () => (await discovered()).forRefresh,
    get isDiscovered() {
      return discovery.found !== undefined
    },
    origins() {
      const endSession = options.endSessionTemplate ?? endSessionEndpoint(discovery.found?.usual)
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
  /** Made of the last good metadata. */
  readonly found: ProviderConfigurations | undefined
  /** Fault of the last attempt. */
  readonly fault: ProviderFault | undefined
  /** Starts an attempt or joins the one in flight, and returns whether it succeeded. */
  readonly run: () => Promise<boolean>
}

function createDiscovery(options: ProviderOptions): Discovery {
  const { use = 'sign-in', fetch } = options
  let found: ProviderConfigurations | undefined
  let attemptedAtMs = Number.NEGATIVE_INFINITY
  let fault: ProviderFault | undefined

  const { run } = createSingleFlight(async () => {
    // Delays an attempt instead of failing it, so that the first request after an outage succeeds.
    const leftMs = attemptedAtMs + MIN_PAUSE_MS - performance.now()
    if (leftMs > 0) await pause(leftMs, undefined, { ref: false })
    attemptedAtMs = performance.now()
    try {
      const { metadata, warnings } = await discover({ ...options, use, fetch })
      found = createConfigurations(metadata, { ...options, fetch })
      options.onDiscovered([...warnings, ...found.warnings])
      return true
    } catch (cause) {
      fault = faultIn(cause)
      options.onDiscoveryFailed(cause)
      return false
    }
  })
  return {
    run,
    get found() {
      return found
    },
    get fault() {
      return fault
    },
  }
}

/** Returns the error for a request that needs the metadata, with the cause for its line (finding C53). */
function undiscovered(fault: ProviderFault | undefined): AuthError {
  const why = fault === undefined ? '' : `: ${fault.message}`
  const message = `the provider has not been discovered yet${why}`
  return new AuthError('provider_unavailable', message, fault && { facts: fault.facts })
}

function endSessionEndpoint(configuration: Configuration | undefined): string | undefined {
  return configuration?.serverMetadata().end_session_endpoint
}

function originOf(url: string | undefined): string[] {
  const origin = url && URL.parse(url)?.origin
  return origin ? [origin] : []
}
