import type { Notice } from '../notices.ts'
import type { SettingName, Settings } from '../settings/settings.ts'
import { type GivenSettings, pathOf } from '../sources/given.ts'
import { type AddressTimeout, noticesOf, timeoutsOf } from './address-options.ts'
import type { RedisAddress } from './server.ts'
import { checkServers, type RedisServers } from './servers.ts'
import { checkTls, type RedisTlsFiles } from './tls-files.ts'

/** Place of Redis and credentials. Files are named here and read for every connection. */
export type RedisConfig = RedisServers &
  RedisFiles & {
    readonly database: number
    readonly username?: string
    readonly password?: string
    /** Name of the connections in `CLIENT LIST`, where the address gives one. */
    readonly clientName?: string
    readonly tls?: RedisTlsFiles
  }

/** Redis as the settings and the address together describe it. */
export interface CheckedRedis {
  readonly config: RedisConfig
  /** Time limits of the address, which stand for those of the settings. */
  readonly timeouts: readonly AddressTimeout[]
  readonly notices: readonly Notice[]
}

/** Files that are read again for every connection, so that rotated secrets are used. */
export interface RedisFiles {
  /** Holds user and password as part of the address. */
  readonly addressFile?: string
  readonly passwordFile?: string
  readonly sentinelPasswordFile?: string
}

/** Returns `undefined` when Redis is not used or a problem was found. */
export function checkRedis(
  settings: Settings,
  given: GivenSettings,
  problems: string[],
): CheckedRedis | undefined {
  if (!settings.REDIS_ENABLED || settings.REDIS_CACHE_MODE === 'memory') return undefined
  if (settings.SESSION_ENCRYPTION_KEY === undefined) {
    problems.push(
      'SESSION_ENCRYPTION_KEY: is missing: replicas that share sessions need the same key; make one with: openssl rand -base64 32',
    )
  }
  const { servers, address } = checkServers(settings, problems)
  const tls = checkTls(settings, address, problems)
  if (!servers) return undefined
  const config = {
    ...servers,
    ...credentialsOf(settings, address, problems),
    database: databaseOf(settings, address, problems),
    ...filesOf(given),
    ...(address?.clientName !== undefined && { clientName: address.clientName }),
    ...(tls && { tls }),
  }
  const timeouts = timeoutsOf(settings, given, address, problems)
  return { config, timeouts, notices: noticesOf(settings, given, address) }
}

function filesOf(given: GivenSettings): RedisFiles {
  const fileOf = (name: SettingName) => pathOf(given.get(name))
  const addressFile = fileOf('REDIS_URL') ?? fileOf('REDIS_ADDRESS')
  const passwordFile = fileOf('REDIS_PASSWORD')
  const sentinelPasswordFile = fileOf('REDIS_SENTINEL_PASSWORD')
  return {
    ...(addressFile !== undefined && { addressFile }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(sentinelPasswordFile !== undefined && { sentinelPasswordFile }),
  }
}

function databaseOf(
  settings: Settings,
  address: RedisAddress | undefined,
  problems: string[],
): number {
  const database = address?.database
  if (database !== undefined && settings.REDIS_DB !== 0 && database !== settings.REDIS_DB) {
    problems.push('REDIS_DB: differs from the database in the address: remove one of them')
  }
  const used = database ?? settings.REDIS_DB
  if (settings.REDIS_CLUSTER && used !== 0) {
    problems.push('REDIS_DB: a Redis Cluster only has database 0: remove it')
  }
  return used
}

/** Refuses a user or password that both the address and a setting give, because one would be ignored silently. */
function credentialsOf(
  settings: Settings,
  address: RedisAddress | undefined,
  problems: string[],
): Pick<RedisConfig, 'username' | 'password'> {
  const either = (name: 'REDIS_USERNAME' | 'REDIS_PASSWORD', what: 'username' | 'password') => {
    const [setting, inAddress] = [settings[name], address?.[what]]
    if (setting !== undefined && inAddress !== undefined) {
      problems.push(`${name}: is also part of the address of Redis: remove one of them`)
    }
    return setting ?? inAddress
  }
  const username = either('REDIS_USERNAME', 'username')
  const password = either('REDIS_PASSWORD', 'password')
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
}
