import type { ProviderOptions } from '../oidc/discovery/provider.ts'
import { ProviderFault } from '../oidc/request/provider-errors.ts'
import type { Log } from '../telemetry/log.ts'

/** Pause between two lines about the same failure; the line then says how often it came. */
const REPEAT_MS = 60_000

/** Logs what becomes of discovery: each change of its cause at once, and what stays as it was once a minute. */
export function createDiscoveryLog(
  issuer: string,
  log: Log,
): Pick<ProviderOptions, 'onDiscovered' | 'onDiscoveryFailed'> {
  let last = { reason: '', atMs: Number.NEGATIVE_INFINITY }
  let suppressed = 0
  let warned = ''
  return {
    onDiscovered(warnings) {
      last = { reason: '', atMs: Number.NEGATIVE_INFINITY }
      log.info({ event: 'provider_discovered', issuer }, 'provider discovered')
      if (warnings.join() === warned) return
      warned = warnings.join()
      for (const reason of warnings) {
        log.warn(
          { event: 'provider_finding', issuer, reason },
          'a problem with the metadata of the provider',
        )
      }
    },
    onDiscoveryFailed(cause) {
      const reason = reasonOf(cause)
      const nowMs = performance.now()
      if (reason === last.reason && nowMs - last.atMs < REPEAT_MS) {
        suppressed += 1
        return
      }
      const repeated = suppressed > 0 ? { suppressed } : {}
      const facts = cause instanceof ProviderFault ? cause.facts : {}
      const fields = { event: 'provider_discovery_failed', issuer, reason, ...facts, ...repeated }
      log.warn(fields, 'discovery of the provider failed; retrying')
      last = { reason, atMs: nowMs }
      suppressed = 0
    },
  }
}

/**
 * Returns the message of a `ProviderFault`, which says what to change; for anything else only its kind, because a
 * message may quote an answer.
 */
function reasonOf(cause: unknown): string {
  if (cause instanceof ProviderFault) return cause.message
  if (!(cause instanceof Error)) return typeof cause
  return 'code' in cause ? `${cause.name} ${String(cause.code)}` : cause.name
}
