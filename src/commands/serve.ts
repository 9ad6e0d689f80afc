import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import packageJson from '../../package.json' with { type: 'json' }
import { composeService, type Service } from '../compose.ts'
import { type Config, type Environment, loadConfig } from '../config.ts'
import { listen } from '../listen.ts'
import { parseKeys } from '../seal.ts'
import { createLog, type Log } from '../telemetry/log.ts'

const KEY_FILE_INTERVAL_MS = 5000
/** How long answers that are under way at the end may take. */
const LAST_ANSWERS_MS = 10_000

/** Runs the service until SIGTERM (drains) or SIGINT (ends at once); resolves with the exit code. */
export async function serve(environment: Environment): Promise<number> {
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

  let isAccepting = false
  const service = composeService({
    config,
    log,
    version: packageJson.version,
    isAccepting: () => isAccepting,
  })
  const stopWatching = watchKeys(config, service, log)
  const publicListener = await listen(service.publicApp, settings.HOST, settings.PORT)
  const internalListener = await listen(service.internalApp, settings.HOST, settings.INTERNAL_PORT)
  isAccepting = true
  log.info(
    {
      event: 'listening',
      port: publicListener.port,
      internal_port: internalListener.port,
      version: packageJson.version,
      mode: 'memory',
    },
    'ready',
  )
  warnOfRisks(config, log)

  const signal = await nextSignal()
  isAccepting = false
  log.info({ event: 'stopping', signal }, 'stopping')
  const listeners = [publicListener, internalListener]
  for (const listener of listeners) listener.startDraining()
  // A second signal is somebody who does not want to wait.
  if (signal === 'SIGTERM') await Promise.race([pause(settings.DRAIN_SECONDS * 1000), nextSignal()])
  await Promise.race([
    Promise.all(listeners.map((listener) => listener.close())),
    pause(LAST_ANSWERS_MS),
  ])
  stopWatching()
  service.provider.close()
  log.info({ event: 'stopped' }, 'stopped')
  return 0
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
}

function trustAuthority(path: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(path, 'utf8')])
}

function warnOfRisks({ settings, keys }: Config, log: Log): void {
  const warn = (setting: string, text: string) => log.warn({ event: 'risk', setting }, text)
  if (!keys)
    warn(
      'SESSION_ENCRYPTION_KEY',
      'no key given: one was made up, and sessions end with this process',
    )
  if (settings.ALIAS_HEADERS === 'ignore')
    warn('ALIAS_HEADERS', 'other spellings of identity headers reach your apps')
  if (settings.DISABLE_REPLAY_DETECTION)
    warn('DISABLE_REPLAY_DETECTION', 'an ID token can be used for more than one sign-in')
  if (settings.ALLOW_INSECURE_HTTP)
    warn('ALLOW_INSECURE_HTTP', 'cookies and codes may travel in clear')
  if (settings.OIDC_TRUST_EMAIL)
    warn('OIDC_TRUST_EMAIL', 'e-mail addresses count although the provider has not verified them')
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
