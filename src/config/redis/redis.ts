import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { attempt } from '../attempt.ts'
import type { Settings } from '../settings/settings.ts'
import type { RedisAddress } from './address.ts'
import { checkServers, type RedisServers } from './servers.ts'

/** Place of Redis and credentials. Files are named here and read for every connection. */
export type RedisConfig = RedisServers &
  RedisFiles & {
    readonly database: number
    readonly username?: string
    readonly password?: string
    readonly tls?: RedisTlsFiles
  }

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
}

/** Returns `undefined` when Redis is not used or a problem was found. */
export function checkRedis(
  settings: Settings,
  files: RedisFiles,
  problems: string[],
): RedisConfig | undefined {
  if (!settings.REDIS_ENABLED || settings.REDIS_CACHE_MODE === 'memory') return undefined
  if (settings.SESSION_ENCRYPTION_KEY === undefined) {
    problems.push(
      'SESSION_ENCRYPTION_KEY: is missing: replicas that share sessions need the same key; make one with: openssl rand -base64 32',
    )
  }
  const { servers, address } = checkServers(settings, problems)
  const tls = checkTls(settings, address?.isTls === true, problems)
  if (!servers) return undefined
  return {
    ...servers,
    ...credentialsOf(settings, address, problems),
    database: databaseOf(settings, address, problems),
    ...files,
    ...(tls && { tls }),
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

const PEM_REMEDY = 'name a readable PEM file'

function checkTls(
  settings: Settings,
  isTlsAddress: boolean,
  problems: string[],
): RedisTlsFiles | undefined {
  const { REDIS_CA_FILE, REDIS_CERT_FILE, REDIS_KEY_FILE, REDIS_TLS_SKIP_VERIFY } = settings
  if (!isTlsAddress && !settings.REDIS_ENABLE_TLS) {
    for (const name of ['REDIS_CA_FILE', 'REDIS_CERT_FILE', 'REDIS_KEY_FILE'] as const) {
      if (settings[name] !== undefined)
        problems.push(`${name}: has no use without TLS: set REDIS_ENABLE_TLS=true`)
    }
    return undefined
  }
  if ((REDIS_CERT_FILE === undefined) !== (REDIS_KEY_FILE === undefined)) {
    problems.push('REDIS_CERT_FILE and REDIS_KEY_FILE: one of them is missing')
  }
  checkCertificate('REDIS_CA_FILE', REDIS_CA_FILE, problems)
  checkCertificate('REDIS_CERT_FILE', REDIS_CERT_FILE, problems)
  if (REDIS_KEY_FILE !== undefined) {
    const readKey = () => createPrivateKey(readFileSync(REDIS_KEY_FILE))
    attempt('REDIS_KEY_FILE', PEM_REMEDY, problems, readKey)
  }
  return {
    skipVerify: REDIS_TLS_SKIP_VERIFY,
    ...(REDIS_CA_FILE !== undefined && { caFile: REDIS_CA_FILE }),
    ...(REDIS_CERT_FILE !== undefined && { certFile: REDIS_CERT_FILE }),
    ...(REDIS_KEY_FILE !== undefined && { keyFile: REDIS_KEY_FILE }),
  }
}

function checkCertificate(name: string, path: string | undefined, problems: string[]): void {
  if (path === undefined) return
  attempt(name, PEM_REMEDY, problems, () => new X509Certificate(readFileSync(path)))
}
