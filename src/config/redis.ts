import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { attempt } from './attempt.ts'
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
  const tls = checkTls(settings, address?.isTls === true, problems)
  if (!address) return undefined
  return {
    host: address.host,
    port: address.port,
    ...credentialsOf(settings, address, problems),
    database: databaseOf(settings, address, problems),
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
  return attempt(name, 'write host:port or a redis:// URL', problems, () => parseRedisAddress(text))
}

function databaseOf(settings: Settings, { database }: RedisAddress, problems: string[]): number {
  if (database !== undefined && settings.REDIS_DB !== 0 && database !== settings.REDIS_DB) {
    problems.push('REDIS_DB: is another database than that of the address: remove one of them')
  }
  return database ?? settings.REDIS_DB
}

/** Of what the address and a setting of its own both say, one would silently lose. */
function credentialsOf(
  settings: Settings,
  address: RedisAddress,
  problems: string[],
): Pick<RedisConfig, 'username' | 'password'> {
  const either = (name: 'REDIS_USERNAME' | 'REDIS_PASSWORD', what: 'username' | 'password') => {
    const [setting, inAddress] = [settings[name], address[what]]
    if (setting !== undefined && inAddress !== undefined) {
      problems.push(`${name}: the address of Redis has one as well: remove one of them`)
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
