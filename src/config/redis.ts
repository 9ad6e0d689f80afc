import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseRedisAddress, type RedisAddress } from './redis-address.ts'
import type { Settings } from './settings.ts'

/** Where Redis is and how to be let in. Files are named, not read: they are read for every connection. */
export interface RedisConfig {
  readonly host: string
  readonly port: number
  readonly database: number
  readonly username?: string
  readonly password?: string
  /** Read again where the password came from a file. */
  readonly passwordFile?: string
  readonly tls?: RedisTlsFiles
}

export interface RedisTlsFiles {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly skipVerify: boolean
}

/** Nothing when Redis is not used, or when a problem was found. */
export function checkRedis(
  settings: Settings,
  passwordFile: string | undefined,
  problems: string[],
): RedisConfig | undefined {
  if (!settings.REDIS_ENABLED || settings.REDIS_CACHE_MODE === 'memory') return undefined
  if (settings.REDIS_CACHE_MODE === 'hybrid') {
    problems.push('REDIS_CACHE_MODE: hybrid comes with a later version; use redis')
  }
  if (settings.SESSION_ENCRYPTION_KEY === undefined) {
    problems.push(
      'SESSION_ENCRYPTION_KEY: is missing, and replicas that share sessions need the same one; make one with: openssl rand -base64 32',
    )
  }
  const address = findAddress(settings, problems)
  if (!address) return undefined
  const tls = checkTls(settings, address.isTls, problems)
  const username = either('user', settings.REDIS_USERNAME, 'REDIS_USERNAME', address, problems)
  const password = either('password', settings.REDIS_PASSWORD, 'REDIS_PASSWORD', address, problems)
  if (
    address.database !== undefined &&
    settings.REDIS_DB !== 0 &&
    address.database !== settings.REDIS_DB
  ) {
    problems.push('REDIS_DB: is another database than that of the address: remove one of them')
  }
  return {
    host: address.host,
    port: address.port,
    database: address.database ?? settings.REDIS_DB,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(tls && { tls }),
  }
}

function findAddress(settings: Settings, problems: string[]): RedisAddress | undefined {
  const { REDIS_ADDRESS, REDIS_URL } = settings
  if (REDIS_ADDRESS !== undefined && REDIS_URL !== undefined) {
    problems.push('REDIS_ADDRESS and REDIS_URL are both set: remove one of them')
  }
  const text = REDIS_URL ?? REDIS_ADDRESS
  const name = REDIS_URL === undefined ? 'REDIS_ADDRESS' : 'REDIS_URL'
  if (text === undefined) {
    problems.push(
      'REDIS_ADDRESS: is missing, and REDIS_ENABLED is true: set host:port, or REDIS_URL',
    )
    return undefined
  }
  try {
    return parseRedisAddress(text)
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`)
    return undefined
  }
}

/** What the address and a setting of its own both say, one of them would silently lose. */
function either(
  what: 'user' | 'password',
  setting: string | undefined,
  name: string,
  address: RedisAddress,
  problems: string[],
): string | undefined {
  const inAddress = what === 'user' ? address.username : address.password
  if (setting !== undefined && inAddress !== undefined) {
    problems.push(`${name}: the address of Redis has a ${what} as well: remove one of them`)
  }
  return setting ?? inAddress
}

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
  return {
    skipVerify: REDIS_TLS_SKIP_VERIFY,
    ...(REDIS_CA_FILE !== undefined && { caFile: REDIS_CA_FILE }),
    ...(REDIS_CERT_FILE !== undefined && { certFile: REDIS_CERT_FILE }),
    ...(REDIS_KEY_FILE !== undefined && { keyFile: REDIS_KEY_FILE }),
  }
}

function checkCertificate(name: string, path: string | undefined, problems: string[]): void {
  if (path === undefined) return
  try {
    new X509Certificate(readFileSync(path))
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}; name a readable PEM file`)
  }
}
