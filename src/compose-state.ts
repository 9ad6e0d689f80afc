import { readFileSync } from 'node:fs'
import type { RedisConfig, RedisTlsFiles } from './config/redis.ts'
import type { Config } from './config.ts'
import type { RedisTarget, RedisTls } from './store/client.ts'
import { openMemoryState, openRedisState, type SharedState } from './store/open.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** Opens what the mode asks for, and tells log and metrics what happens to it. */
export function openConfiguredState(
  { redis, settings }: Config,
  log: Log,
  metrics: Metrics,
  now: () => number,
): SharedState {
  if (!redis) return openMemoryState()
  const findings = createFindingsLog(log)
  return openRedisState({
    target: createTarget(redis, log),
    database: redis.database,
    prefix: settings.REDIS_KEY_PREFIX,
    connectTimeoutMs: settings.REDIS_CONNECT_TIMEOUT * 1000,
    readTimeoutMs: settings.REDIS_READ_TIMEOUT * 1000,
    writeTimeoutMs: settings.REDIS_WRITE_TIMEOUT * 1000,
    now,
    onConnected: () => log.info({ event: 'redis_connected' }, 'connected to Redis'),
    onDisconnected: (failure) =>
      log.error({ event: 'redis_disconnected', failure }, 'Redis cannot be used; trying again'),
    onStillAway: (failure) =>
      log.error({ event: 'redis_still_away', failure }, 'Redis cannot be used for another reason'),
    onFailure: (failure) => metrics.redisFailure(failure),
    onExamined: ({ findings: found }) =>
      findings(found.map(({ code, message }) => ({ code, message }))),
  })
}

/** Each finding is logged when it comes up, not at every connection. */
function createFindingsLog(log: Log) {
  let known = new Set<string>()
  return (findings: readonly { readonly code: string; readonly message: string }[]) => {
    for (const { code, message } of findings) {
      if (!known.has(message)) log.warn({ event: 'redis_finding', code }, message)
    }
    known = new Set(findings.map(({ message }) => message))
  }
}

/** Reads password and certificates anew for every connection; what cannot be read leaves the last good ones. */
function createTarget(redis: RedisConfig, log: Log): () => RedisTarget {
  const { passwordFile, tls, ...server } = redis
  let lastGood: RedisTarget | undefined
  let isReported = false
  return () => {
    try {
      lastGood = {
        ...server,
        ...(passwordFile !== undefined && { password: readFileSync(passwordFile, 'utf8').trim() }),
        ...(tls && { tls: readTls(tls) }),
      }
      isReported = false
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException
      const fields = { event: 'redis_file_unreadable', reason: code, path }
      if (!isReported) log.error(fields, 'a file cannot be read')
      isReported = true
      // Without its files there is no connection: never one without TLS instead (fault F20).
      if (!lastGood) throw error
    }
    return lastGood
  }
}

function readTls({ caFile, certFile, keyFile, skipVerify }: RedisTlsFiles): RedisTls {
  return {
    skipVerify,
    ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
    ...(certFile !== undefined && { cert: readFileSync(certFile, 'utf8') }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile, 'utf8') }),
  }
}
