import type { Observed } from '../../src/telemetry/gauges.ts'

/** Everything that metrics may observe, as it is at the start of a service with all features. */
export const OBSERVED_AT_START: Observed = {
  cachedSessions: () => 0,
  cachedBytes: () => 0,
  isProviderDiscovered: () => true,
  eventStreams: () => 0,
  revocationsWaiting: () => 0,
  certificate: () => ({ notBeforeMs: 0, notAfterMs: 0 }),
  redis: {
    isConnected: true,
    commandsInFlight: 0,
    examination: undefined,
    breakers: { read: { state: 'closed' }, write: { state: 'closed' } },
    isBackplaneHealthy: true,
    fleet: { size: 0, findings: [] },
  },
}
