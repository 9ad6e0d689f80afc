import packageJson from '../../package.json' with { type: 'json' }
import { composeService } from '../compose/service.ts'
import type { Config, Environment } from '../config/config.ts'
import { describeCause } from '../http/error-answer.ts'
import { type Listener, listen } from '../listen.ts'
import type { OverloadWatch } from '../routes/check/overload.ts'
import type { Log } from '../telemetry/log.ts'
import { warnOfRisks } from './insecure-settings.ts'
import { watchKeyFile } from './watch-key-file.ts'

/** Running service, listening on both ports. */
export interface RunningService {
  readonly publicPort: number
  readonly internalPort: number
  /** Makes `/readyz` answer 503 and every response close its connection. */
  startDraining(): void
  /** Stops accepting connections and releases everything; responses and refreshes in flight get `inFlightMs` each. */
  stop(inFlightMs: number): Promise<void>
}

/**
 * Composes the service and listens. Rejects with Node's error, after releasing everything, when an address is in
 * use.
 */
export async function startService(
  environment: Environment,
  config: Config,
  log: Log,
  overload?: OverloadWatch,
): Promise<RunningService> {
  const { settings } = config
  const { version } = packageJson
  const service = composeService({ config, log, version, ...(overload && { overload }) })
  const stopWatching = watchKeyFile(config, service, log)
  const listeners: Listener[] = []
  const onUnwritten = (cause: unknown) =>
    log.error(
      { event: 'answer_failed', cause: describeCause(cause) },
      'a response could not be written: 500 was sent instead',
    )
  async function open(app: typeof service.publicApp, port: number): Promise<number> {
    const listener = await listen(app, settings.HOST, port, onUnwritten)
    listeners.push(listener)
    return listener.port
  }
  async function stop(inFlightMs: number): Promise<void> {
    service.startDraining()
    await Promise.all(listeners.map((listener) => listener.close(inFlightMs)))
    stopWatching()
    await service.stop(inFlightMs)
  }

  try {
    const publicPort = await open(service.publicApp, settings.PORT)
    const internalPort = await open(service.internalApp, settings.INTERNAL_PORT)
    service.start()
    log.info(
      {
        event: 'listening',
        port: publicPort,
        internal_port: internalPort,
        version,
        mode: config.mode,
      },
      'ready',
    )
    warnOfRisks(environment, config, log)
    return {
      publicPort,
      internalPort,
      startDraining() {
        service.startDraining()
        for (const listener of listeners) listener.startDraining()
      },
      stop,
    }
  } catch (error) {
    await stop(0)
    throw error
  }
}
