import { readFileSync } from 'node:fs'
import { setImmediate as nextRound, setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import type { Config, Environment } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { whereThrown } from '../telemetry/describe-cause.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import { startService } from './start-service.ts'
import type { StopSignals } from './stop-signals.ts'

/** Bounds the wait for responses in flight at shutdown, and after it the wait for refreshes in flight. */
const UNDER_WAY_MS = 10_000
/** Bounds the wait for the reader of the log to take the last lines. */
const LAST_LINES_MS = 1000

/** Runs the service until SIGTERM (drains) or SIGINT (ends at once). Resolves with the exit code. */
export async function serve(environment: Environment, signals: StopSignals): Promise<number> {
  const config = loadConfig(environment)
  const log = createLog(config.settings.LOG_LEVEL)
  try {
    return await run(config, log, signals)
  } finally {
    await log.finish(LAST_LINES_MS)
  }
}

async function run(config: Config, log: Log, signals: StopSignals): Promise<number> {
  const { settings } = config
  process.on('unhandledRejection', (reason) => {
    const kind = reason instanceof Error ? reason.name : typeof reason
    const fields = { event: 'unhandled_rejection', kind, ...whereThrown(reason) }
    log.error(fields, 'an error was not handled')
  })
  if (settings.OIDC_CA_FILE) trustAuthority(settings.OIDC_CA_FILE)
  // Node reports signals that came while modules loaded in the next round of the event loop.
  await nextRound()
  if (signals.hasCome) {
    log.info({ event: 'stopped' }, 'stopped before serving')
    return 0
  }

  const service = await startService(config, log)
  const signal = await signals.first
  service.startDraining()
  log.info({ event: 'stopping', signal }, 'stopping')
  // A second signal ends the drain.
  if (signal === 'SIGTERM') {
    await Promise.race([pause(settings.DRAIN_SECONDS.ms), signals.second])
  }
  await service.stop(UNDER_WAY_MS)
  log.info({ event: 'stopped' }, 'stopped')
  return 0
}

function trustAuthority(path: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(path, 'utf8')])
}
