import { readFileSync } from 'node:fs'
import { setImmediate as nextRound, setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import packageJson from '../../package.json' with { type: 'json' }
import { composeService, type Service } from '../compose.ts'
import { type Config, type Environment, loadConfig } from '../config.ts'
import { listen } from '../listen.ts'
import { describeCause } from '../routes/refusals.ts'
import { parseKeys } from '../seal.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import { warnOfRisks } from './risks.ts'
import type { StopSignals } from './stop-signals.ts'

const KEY_FILE_INTERVAL_MS = 5000
/** How long answers that are under way at the end may take. */
const LAST_ANSWERS_MS = 10_000

/** Runs the service until SIGTERM (drains) or SIGINT (ends at once); resolves with the exit code. */
export async function serve(environment: Environment, signals: StopSignals): Promise<number> {
  const config = loadConfig(environment)
  const { settings } = config
  const log = createLog(settings.LOG_LEVEL)
  process.on('unhandledRejection', (reason) => {
    log.error(
      { event: 'unhandled_rejection', kind: reason instanceof Error ? reason.name : typeof reason },
      'a failure was not handled',
    )
  })
  if (settings.OIDC_CA_FILE) trustAuthority(settings.OIDC_CA_FILE)
  // Of what came while all of this was loaded Node tells in the next round of the event loop.
  await nextRound()
  if (signals.hasCome) {
    log.info({ event: 'stopped' }, 'stopped before serving')
    return 0
  }

  let isAccepting = false
  const service = composeService({
    config,
    log,
    version: packageJson.version,
    isAccepting: () => isAccepting,
  })
  const stopWatching = watchKeys(config, service, log)
  const onUnwritten = (cause: unknown) =>
    log.error(
      { event: 'answer_failed', cause: describeCause(cause) },
      'an answer could not be written; a 500 was sent instead',
    )
  const { HOST, PORT, INTERNAL_PORT } = settings
  const publicListener = await listen(service.publicApp, HOST, PORT, onUnwritten)
  const internalListener = await listen(service.internalApp, HOST, INTERNAL_PORT, onUnwritten)
  isAccepting = true
  log.info(
    {
      event: 'listening',
      port: publicListener.port,
      internal_port: internalListener.port,
      version: packageJson.version,
      mode: config.redis ? settings.REDIS_CACHE_MODE : 'memory',
    },
    'ready',
  )
  warnOfRisks(environment, config, log)

  const signal = await signals.first
  isAccepting = false
  log.info({ event: 'stopping', signal }, 'stopping')
  const listeners = [publicListener, internalListener]
  for (const listener of listeners) listener.startDraining()
  // A second signal is somebody who does not want to wait.
  if (signal === 'SIGTERM') {
    await Promise.race([pause(settings.DRAIN_SECONDS * 1000), signals.second])
  }
  await Promise.race([
    Promise.all(listeners.map((listener) => listener.close())),
    pause(LAST_ANSWERS_MS),
  ])
  stopWatching()
  service.closeProviders()
  await service.closeState()
  log.info({ event: 'stopped' }, 'stopped')
  return 0
}

function trustAuthority(path: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(path, 'utf8')])
}

/** Reads the key file again and again; a file that cannot be used leaves the keys as they are. */
function watchKeys({ keyFile, settings }: Config, service: Service, log: Log): () => void {
  if (keyFile === undefined) return () => undefined
  let known = settings.SESSION_ENCRYPTION_KEY
  const timer = setInterval(() => {
    try {
      const text = readFileSync(keyFile, 'utf8').trim()
      if (text === known) return
      service.replaceKeys(parseKeys(text))
      known = text
      log.info({ event: 'keys_reloaded' }, 'the key file has changed and was read')
    } catch (error) {
      const reason =
        error instanceof TypeError ? error.message : (error as NodeJS.ErrnoException).code
      log.error(
        { event: 'keys_not_reloaded', reason },
        'the key file cannot be used; the keys stay as they are',
      )
    }
  }, KEY_FILE_INTERVAL_MS)
  timer.unref()
  return () => clearInterval(timer)
}
