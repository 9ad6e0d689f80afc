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
      mode: config.redis ? settings.REDIS_CACHE_MODE : 'memory',
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
  service.closeProviders()
  await service.closeState()
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

/** What somebody chose that lowers the guard, or may not be what they meant. */
function warnOfRisks({ settings, keys, redis }: Config, log: Log): void {
  const hasUnusedAddress = !redis && (settings.REDIS_ADDRESS ?? settings.REDIS_URL) !== undefined
  const risks: readonly (readonly [setting: string, isTaken: boolean, text: string])[] = [
    ['SESSION_ENCRYPTION_KEY', !keys, 'a key was made up, and sessions end with this process'],
    [
      'ALIAS_HEADERS',
      settings.ALIAS_HEADERS === 'ignore',
      'other spellings of identity headers reach your apps',
    ],
    [
      'DISABLE_REPLAY_DETECTION',
      settings.DISABLE_REPLAY_DETECTION,
      'an ID token can be used for more than one sign-in',
    ],
    ['ALLOW_INSECURE_HTTP', settings.ALLOW_INSECURE_HTTP, 'cookies and codes may travel in clear'],
    [
      'OIDC_TRUST_EMAIL',
      settings.OIDC_TRUST_EMAIL,
      'e-mail addresses count although the provider has not verified them',
    ],
    [
      'REDIS_TLS_SKIP_VERIFY',
      redis?.tls?.skipVerify === true,
      'whoever stands between us and Redis can read along',
    ],
    [
      'ADMIN_TOKEN',
      settings.ADMIN_TOKEN !== undefined && settings.ADMIN_TOKEN.length < 32,
      'is short enough to be guessed',
    ],
    [
      'REDIS_ENABLED',
      hasUnusedAddress,
      'an address of Redis is set and not used: sessions are in memory only',
    ],
  ]
  for (const [setting, isTaken, text] of risks) {
    if (isTaken) log.warn({ event: 'risk', setting }, text)
  }
  if (redis && settings.REDIS_POOL_SIZE !== 10) {
    const fields = { event: 'setting_not_needed', setting: 'REDIS_POOL_SIZE' }
    log.info(fields, 'one pipelined connection serves a replica')
  }
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
