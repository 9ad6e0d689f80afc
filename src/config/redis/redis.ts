import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { attempt } from '../attempt.ts'
import type { Notice } from '../notices.ts'
import { type Duration, durationOf } from '../settings/setting-kinds.ts'
import type { SettingName, Settings } from '../settings/settings.ts'
import type { GivenSettings } from '../sources/given.ts'
import type { RedisAddress } from './address.ts'
import { checkServers, type RedisServers } from './servers.ts'

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
  readonly timeouts: Partial<Record<TimeoutName, Duration>>
  readonly notices: readonly Notice[]
}

type TimeoutName = 'REDIS_CONNECT_TIMEOUT' | 'REDIS_READ_TIMEOUT' | 'REDIS_WRITE_TIMEOUT'

/** Files that are read again for every connection, so that rotated secrets are used. */
export interface RedisFiles {
  /** Holds user and password as part of the address. */
  readonly addressFile?: string
  readonly passwordFile?: string
  readonly sentinelPasswordFile?: string
}

export interface RedisTlsFiles {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly skipVerify: boolean
  /** Name that the certificate must be valid for, where it is not the host's. */
  readonly serverName?: string
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
  return { config, timeouts, notices: noticesOf(given, address) }
}

function filesOf(given: GivenSettings): RedisFiles {
  const fileOf = (name: SettingName) => {
    const origin = given.get(name)?.origin
    return origin?.kind === 'named-file' ? origin.path : undefined
  }
  const addressFile = fileOf('REDIS_URL') ?? fileOf('REDIS_ADDRESS')
  const passwordFile = fileOf('REDIS_PASSWORD')
  const sentinelPasswordFile = fileOf('REDIS_SENTINEL_PASSWORD')
  return {
    ...(addressFile !== undefined && { addressFile }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(sentinelPasswordFile !== undefined && { sentinelPasswordFile }),
  }
}

/** Returns the time limits of the address; refuses one that a setting gives otherwise, as with the database. */
function timeoutsOf(
  settings: Settings,
  given: GivenSettings,
  address: RedisAddress | undefined,
  problems: string[],
): CheckedRedis['timeouts'] {
  const limits: readonly [TimeoutName, string, number | undefined][] = [
    ['REDIS_CONNECT_TIMEOUT', 'connectTimeout', address?.connectTimeoutMs],
    ['REDIS_READ_TIMEOUT', 'syncTimeout', address?.commandTimeoutMs],
    ['REDIS_WRITE_TIMEOUT', 'syncTimeout', address?.commandTimeoutMs],
  ]
  const used = limits.flatMap(([name, option, ms]) => {
    if (ms === undefined) return []
    if (given.has(name) && settings[name].ms !== ms) {
      problems.push(`${name}: differs from ${option} in the address: remove one of them`)
    }
    return [[name, durationOf(ms / 1000)] as const]
  })
  return Object.fromEntries(used)
}

function noticesOf(given: GivenSettings, address: RedisAddress | undefined): Notice[] {
  const setting = given.has('REDIS_URL') ? 'REDIS_URL' : 'REDIS_ADDRESS'
  const options = address?.ignoredOptions ?? []
  const notices = options.map((option): Notice => ({ kind: 'ignored-option', setting, option }))
  if (!given.has('REDIS_POOL_SIZE')) return notices
  const reason = 'one pipelined connection serves a replica'
  return [...notices, { kind: 'not-needed', setting: 'REDIS_POOL_SIZE', reason }]
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

const PEM_REMEDY = 'name a readable PEM file'

function checkTls(
  settings: Settings,
  address: RedisAddress | undefined,
  problems: string[],
): RedisTlsFiles | undefined {
  const { REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE, REDIS_TLS_SKIP_VERIFY } = settings
  if (!address?.isTls && !settings.REDIS_ENABLE_TLS) {
    for (const name of ['REDIS_CA_FILE', 'REDIS_CERT_FILE', 'REDIS_KEY_FILE'] as const) {
      if (settings[name] !== undefined)
        problems.push(`${name}: has no use without TLS: set REDIS_ENABLE_TLS=true`)
    }
    return undefined
  }
  checkFiles(settings, problems)
  return {
    skipVerify: REDIS_TLS_SKIP_VERIFY,
    ...(address?.tlsServerName !== undefined && { serverName: address.tlsServerName }),
    ...(REDIS_CA_FILE !== undefined && { caFile: REDIS_CA_FILE }),
    ...(REDIS_CERT_FILE !== undefined && { certFile: REDIS_CERT_FILE }),
    ...(REDIS_KEY_FILE !== undefined && { keyFile: REDIS_KEY_FILE }),
  }
}

function checkFiles(settings: Settings, problems: string[]): void {
  const { REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE } = settings
  if ((REDIS_CERT_FILE === undefined) !== (REDIS_KEY_FILE === undefined)) {
    problems.push('REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing')
  }
  checkCertificate('REDIS_CA_FILE', REDIS_CA_FILE, problems)
  checkCertificate('REDIS_CERT_FILE', REDIS_CERT_FILE, problems)
  if (REDIS_KEY_FILE !== undefined) {
    const readKey = () => createPrivateKey(readFileSync(REDIS_KEY_FILE))
    attempt('REDIS_KEY_FILE', PEM_REMEDY, problems, readKey)
  }
}

function checkCertificate(name: string, path: string | undefined, problems: string[]): void {
  if (path === undefined) return
  attempt(name, PEM_REMEDY, problems, () => new X509Certificate(readFileSync(path)))
}
