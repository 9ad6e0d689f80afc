import type { SettingName } from '../../config/settings/settings.ts'
import type { Draft } from '../draft.ts'
import type { SettingValue } from '../installation.ts'
import { flagOf, textOf } from '../traefik/given-values.ts'
import { secretHeld } from '../traefik/kept-elsewhere.ts'
import type { PluginMiddleware } from './plugin-middleware.ts'

type Options = PluginMiddleware['options']

/** Settings by the option of the plugin, which has the names that Vestibule took over. */
const SETTINGS: Readonly<Record<string, SettingName>> = {
  address: 'REDIS_ADDRESS',
  db: 'REDIS_DB',
  cacheMode: 'REDIS_CACHE_MODE',
  poolSize: 'REDIS_POOL_SIZE',
  connectTimeout: 'REDIS_CONNECT_TIMEOUT',
  readTimeout: 'REDIS_READ_TIMEOUT',
  writeTimeout: 'REDIS_WRITE_TIMEOUT',
  enableTLS: 'REDIS_ENABLE_TLS',
  tlsSkipVerify: 'REDIS_TLS_SKIP_VERIFY',
  hybridL1Size: 'REDIS_HYBRID_L1_SIZE',
  hybridL1MemoryMB: 'REDIS_HYBRID_L1_MEMORY_MB',
  enableCircuitBreaker: 'REDIS_ENABLE_CIRCUIT_BREAKER',
  circuitBreakerThreshold: 'REDIS_CIRCUIT_BREAKER_THRESHOLD',
  circuitBreakerTimeout: 'REDIS_CIRCUIT_BREAKER_TIMEOUT',
  enableHealthCheck: 'REDIS_ENABLE_HEALTH_CHECK',
  healthCheckInterval: 'REDIS_HEALTH_CHECK_INTERVAL',
}

/** Variables that the plugin reads where the option is not given. */
export const REDIS_VARIABLES: Readonly<Record<string, string>> = {
  REDIS_ENABLED: 'enabled',
  REDIS_ADDRESS: 'address',
  REDIS_PASSWORD: 'password',
  REDIS_KEY_PREFIX: 'keyPrefix',
  REDIS_CACHE_MODE: 'cacheMode',
  REDIS_DB: 'db',
  REDIS_POOL_SIZE: 'poolSize',
  REDIS_CONNECT_TIMEOUT: 'connectTimeout',
  REDIS_READ_TIMEOUT: 'readTimeout',
  REDIS_WRITE_TIMEOUT: 'writeTimeout',
  REDIS_ENABLE_TLS: 'enableTLS',
  REDIS_TLS_SKIP_VERIFY: 'tlsSkipVerify',
  REDIS_HYBRID_L1_SIZE: 'hybridL1Size',
  REDIS_HYBRID_L1_MEMORY_MB: 'hybridL1MemoryMB',
}

/** Sets Redis as the middlewares of a client have it. The first that enables it counts. */
export function placeRedis(
  draft: Draft,
  middlewares: readonly PluginMiddleware[],
  environment: ReadonlyMap<string, string>,
  name: string,
): void {
  const options = middlewares
    .map((each) => withVariables(each.options, environment))
    .find((each) => flagOf(each.get('redis.enabled') ?? '') === true)
  if (!options) {
    draft.note(
      'differs',
      'redis',
      'Is not enabled, so that sessions are in memory: a restart ends them, and several replicas need Redis. The plugin keeps sessions in cookies.',
    )
    return
  }
  draft.set('REDIS_ENABLED', true)
  draft.set('REDIS_KEY_PREFIX', name === '' ? 'vestibule:' : `vestibule-${name}:`)
  for (const [option, setting] of Object.entries(SETTINGS)) {
    const value = settingValue(options.get(`redis.${option}`))
    if (value !== undefined) draft.set(setting, value)
  }
  placePassword(draft, options)
  draft.note(
    'differs',
    'redis',
    'Holds the sessions themselves, sealed; the plugin keeps them in cookies and caches in Redis.',
  )
}

/** Zero is what the plugin takes for "not given". */
function settingValue(value: unknown): SettingValue | undefined {
  if (value === undefined || value === null || value === '' || value === 0 || value === '0')
    return undefined
  if (typeof value === 'number' || typeof value === 'boolean') return value
  return textOf(value)
}

function placePassword(draft: Draft, options: Options): void {
  const password = options.get('redis.password')
  if (password === undefined || password === '') return
  const held = secretHeld(textOf(password) ?? '')
  draft.keepSecret('REDIS_PASSWORD', held)
  if (held !== undefined) return
  draft.note(
    'todo',
    'redis.password',
    'Is kept elsewhere: write it into secrets/redis-password, or mount the Secret and name its file in REDIS_PASSWORD_FILE.',
  )
}

function withVariables(options: Options, environment: ReadonlyMap<string, string>): Options {
  const added = Object.entries(REDIS_VARIABLES).flatMap(([variable, option]) => {
    const value = environment.get(variable)
    const given = options.get(`redis.${option}`)
    const isGiven = given !== undefined && given !== '' && given !== 0 && given !== false
    return value === undefined || isGiven ? [] : [[`redis.${option}`, value] as const]
  })
  return new Map([...options, ...added])
}
