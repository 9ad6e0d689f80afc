import packageJson from '../../package.json' with { type: 'json' }
import type { KeptCertificate } from '../compose/internal-tls.ts'
import { composeService, type Service } from '../compose/service.ts'
import type { Config } from '../config/config.ts'
import { type Listener, listen } from '../listener/listen.ts'
import type { OverloadWatch } from '../routes/check/overload.ts'
import { describeCause, whereThrown } from '../telemetry/describe-cause.ts'
import type { Log } from '../telemetry/log.ts'
import { warnOfRisks } from './insecure-settings.ts'
import { createRefusalReport, type PortSetting } from './report-refused.ts'
import { watchKeyFile } from './watch-key-file.ts'

/** Running service, listening on both ports. */
export interface RunningService {
  readonly publicPort: number
  readonly internalPort: number
  /** Makes `/readyz` answer 503 and every response to a later request close its connection. */
  startDraining(): void
  /** Stops accepting connections and releases everything; responses and refreshes in flight get `inFlightMs` each. */
  stop(inFlightMs: number): Promise<void>
}

/**
 * Composes the service and listens. Rejects with Node's error, after releasing everything, when an address is in
 * use.
 */
export async function startService(
  config: Config,
  log: Log,
  overload?: OverloadWatch,
): Promise<RunningService> {
  const { settings } = config
  const { version } = packageJson
  const service = composeService({ config, log, version, ...(overload && { overload }) })
  const stopWatching = watchKeyFile(config, service, log)
  // Without HOST in the environment or a file, a machine without IPv6 is served over IPv4.
  const isDefaultHost = !config.origins.has('HOST')
  const listeners = keepListeners(isDefaultHost ? undefined : settings.HOST, log)
  async function stop(inFlightMs: number): Promise<void> {
    service.startDraining()
    await listeners.close(inFlightMs)
    stopWatching()
    await service.stop(inFlightMs)
  }

  try {
    const open = (name: PortSetting, app: Service['publicApp'], credentials?: KeptCertificate) =>
      listeners.open(app, name, settings[name], credentials).catch((error: unknown) => {
        throw withSetting(error, name)
      })
    const publicPort = await open('PORT', service.publicApp)
    const internalPort = await open('INTERNAL_PORT', service.internalApp, service.certificate)
    service.start()
    const ports = { port: publicPort, internal_port: internalPort }
    log.info({ event: 'listening', ...ports, version, mode: config.mode }, 'ready')
    warnOfRisks(config, log)
    return {
      publicPort,
      internalPort,
      startDraining() {
        service.startDraining()
        listeners.startDraining()
      },
      stop,
    }
  } catch (error) {
    await stop(0)
    throw error
  }
}

/** Adds to Node's error for an address that cannot be listened at which setting gives it. */
function withSetting(error: unknown, name: PortSetting): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const isOfPort = error.code === 'EADDRINUSE' || error.code === 'EACCES'
  error.message += `: set ${isOfPort ? `${name} to a port that is free` : 'HOST to an address of this machine, or leave it out'}`
  return error
}

/** Opens listeners on one host, and closes those that were opened. */
function keepListeners(host: string | undefined, log: Log) {
  const listeners: Listener[] = []
  return {
    async open(
      app: Service['publicApp'],
      name: PortSetting,
      port: number,
      credentials?: KeptCertificate,
    ): Promise<number> {
      const listener = await listen(app, {
        host,
        port,
        credentials,
        onUnwritten: (...failure) => reportUnwritten(...failure, log),
        onRefused: createRefusalReport(name, log),
      })
      listeners.push(listener)
      if (host === undefined && listener.address === '0.0.0.0') {
        const { address } = listener
        log.info(
          { event: 'host_fallback', address, port: listener.port },
          'this machine has no IPv6, so the listener is bound to its IPv4 addresses alone',
        )
      }
      return listener.port
    },
    startDraining() {
      for (const listener of listeners) listener.startDraining()
    },
    async close(inFlightMs: number): Promise<void> {
      await Promise.all(listeners.map((listener) => listener.close(inFlightMs)))
    },
  }
}

function reportUnwritten(cause: unknown, requestId: string | undefined, log: Log): void {
  const id = requestId === undefined ? {} : { request_id: requestId }
  log.error(
    { event: 'answer_failed', cause: describeCause(cause), ...whereThrown(cause), ...id },
    'a response could not be written: 500 was sent instead',
  )
}
