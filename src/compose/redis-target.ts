import { readFileSync } from 'node:fs'
import { parseRedisAddress } from '../config/redis/address.ts'
import type { RedisConfig, RedisTlsFiles } from '../config/redis/redis.ts'
import type { RedisTarget, RedisTls } from '../redis/target.ts'
import type { Log } from '../telemetry/log.ts'

/** Reads passwords and certificates anew for every connection; what cannot be used leaves the last good ones. */
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
      // Without its files there is no connection: never one without TLS instead (fault F20).
      if (!lastGood) throw error
    }
    return lastGood
  }
}

/** An address is the one thing that is parsed, and says what is wrong with it by a `TypeError`. */
function report(error: unknown, addressFile: string | undefined, log: Log): void {
  const fields =
    error instanceof TypeError
      ? { reason: error.message, path: addressFile }
      : {
          reason: (error as NodeJS.ErrnoException).code,
          path: (error as NodeJS.ErrnoException).path,
        }
  log.error({ event: 'redis_file_unreadable', ...fields }, 'a file cannot be used')
}

/** Who we are may change while we run; another server counts from the next start, for all replicas at once. */
function readCredentials(path: string): Pick<RedisTarget, 'username' | 'password'> {
  const { username, password } = parseRedisAddress(readText(path))
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8').trim()
}

function readTls({ caFile, certFile, keyFile, skipVerify }: RedisTlsFiles): RedisTls {
  return {
    skipVerify,
    ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
    ...(certFile !== undefined && { cert: readFileSync(certFile, 'utf8') }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile, 'utf8') }),
  }
}
