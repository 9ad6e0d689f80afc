import { readFileSync } from 'node:fs'
import { ValueError } from '../config/config-error.ts'
import { parseRedisAddress } from '../config/redis/address.ts'
import type { RedisConfig } from '../config/redis/redis.ts'
import type { RedisTlsFiles } from '../config/redis/tls-files.ts'
import { readText } from '../config/sources/read-text.ts'
import type { RedisTarget, RedisTls } from '../redis/target.ts'
import type { Log } from '../telemetry/log.ts'

/**
 * Reads passwords and certificates again for every connection. Files that cannot be used leave the last good values
 * in force.
 */
export function createTarget(redis: RedisConfig, log: Log): () => RedisTarget {
  const { addressFile, passwordFile, sentinelPasswordFile, tls, ...servers } = redis
  let lastGood: RedisTarget | undefined
  let isReported = false
  return () => {
    try {
      lastGood = {
        ...servers,
        ...(addressFile !== undefined && readCredentials(addressFile)),
        ...(passwordFile !== undefined && { password: readText(passwordFile) }),
        ...(sentinelPasswordFile !== undefined && {
          sentinelPassword: readText(sentinelPasswordFile),
        }),
        ...(tls && { tls: readTls(tls) }),
      }
      isReported = false
    } catch (error) {
      if (!isReported) report(error, addressFile, log)
      isReported = true
      // Fails without the files because a connection without TLS must never stand in (F20).
      if (!lastGood) throw error
    }
    return lastGood
  }
}

/** Logs why a file of the Redis settings cannot be used. */
function report(error: unknown, addressFile: string | undefined, log: Log): void {
  const fields =
    error instanceof ValueError
      ? { reason: error.message, path: addressFile }
      : {
          reason: (error as NodeJS.ErrnoException).code,
          path: (error as NodeJS.ErrnoException).path,
        }
  log.error(
    { event: 'redis_file_unreadable', ...fields },
    'a file of the Redis settings cannot be used',
  )
}

/**
 * Takes only user and password from the file. A new server counts after a restart, so that all replicas change
 * together.
 */
function readCredentials(path: string): Pick<RedisTarget, 'username' | 'password'> {
  const { username, password } = parseRedisAddress(readText(path))
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
}

function readTls({ caFile, certFile, keyFile, ...rest }: RedisTlsFiles): RedisTls {
  return {
    ...rest,
    ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
    ...(certFile !== undefined && { cert: readFileSync(certFile, 'utf8') }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile, 'utf8') }),
  }
}
