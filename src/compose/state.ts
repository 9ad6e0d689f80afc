import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Fingerprint } from '../replicas/differences.ts'
import { openMemoryState } from '../store/memory/state.ts'
import type { RedisObserver } from '../store/redis/observer.ts'
import { openRedisState } from '../store/redis/open.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { boundsWithin } from './memory-budget.ts'
import { createTarget } from './redis-target.ts'

export interface StateOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly fingerprint: () => Omit<Fingerprint, 'place'>
}

/** Opens the shared state of the configured mode and reports its events to log and metrics. */
export function openSharedState(options: StateOptions): SharedState {
  const { redis, settings } = options.config
  if (!redis)
    return openMemoryState({
      store: boundsWithin('store'),
      index: boundsWithin('index'),
      markers: boundsWithin('markers'),
      locks: boundsWithin('locks'),
      generations: boundsWithin('generations'),
    })
  return openRedisState({
    target: createTarget(redis, options.log),
    database: redis.database,
    prefix: settings.REDIS_KEY_PREFIX,
    connectTimeoutMs: settings.REDIS_CONNECT_TIMEOUT.ms,
    readTimeoutMs: settings.REDIS_READ_TIMEOUT.ms,
    writeTimeoutMs: settings.REDIS_WRITE_TIMEOUT.ms,
    breaker: {
      isEnabled: settings.REDIS_ENABLE_CIRCUIT_BREAKER,
      threshold: settings.REDIS_CIRCUIT_BREAKER_THRESHOLD,
      timeoutMs: settings.REDIS_CIRCUIT_BREAKER_TIMEOUT.ms,
    },
    healthCheck: {
      isEnabled: settings.REDIS_ENABLE_HEALTH_CHECK,
      intervalMs: settings.REDIS_HEALTH_CHECK_INTERVAL.ms,
    },
    fingerprint: options.fingerprint,
    now: options.now,
    observer: createObserver(options),
  })
}

function createObserver(options: StateOptions): RedisObserver {
  const { log, metrics } = options
  return {
    ...connectionEvents(log),
    ...replicaEvents(options),
    onFailure: (failure) => metrics.redisFailure(failure),
    onRead: metrics.redisLatency,
    onExamined: createExaminationLog(log),
    onBreaker: createBreakerLog(log, metrics),
    onDatasetChanged() {
      metrics.datasetChanged()
      log.error(
        { event: 'redis_data_changed' },
        'Redis lost its data: all sessions and replay marks are gone',
      )
    },
  }
}

function connectionEvents(log: Log) {
  return {
    onConnected: () => log.info({ event: 'redis_connected' }, 'connected to Redis'),
    onDisconnected: (report) =>
      log.error({ event: 'redis_disconnected', ...report }, 'Redis is unavailable; retrying'),
    onStillAway: (report) =>
      log.error(
        { event: 'redis_still_away', ...report },
        'Redis is unavailable for another reason now',
      ),
    onSentinelsAway: (report) =>
      log.error(
        { event: 'sentinels_away', ...report },
        'no Sentinel answers, so a failover may go unnoticed; retrying',
      ),
    onSentinelsBack: () => log.info({ event: 'sentinels_back' }, 'a Sentinel answers again'),
  } satisfies Partial<RedisObserver>
}

function replicaEvents({ log, metrics }: StateOptions) {
  const fleetFindings = createFindingsLog(({ code, message }) =>
    log.warn({ event: 'fleet_finding', code }, message),
  )
  return {
    onBackplane: (isHealthy) =>
      isHealthy
        ? log.info(
            { event: 'backplane_healthy' },
            'backplane works: messages of other replicas arrive',
          )
        : log.warn(
            { event: 'backplane_broken' },
            'backplane broken: messages of other replicas may be missed',
          ),
    onBackplaneAway: (report) =>
      log.error(
        { event: 'backplane_away', ...report },
        'only the connection that receives the messages of other replicas cannot be used; retrying',
      ),
    onOtherInstallation: (other, own) =>
      log.info(
        { event: 'other_installation', own, other },
        `another installation keeps its keys in this Redis under ${other} (prefix and database), and this one under ${own}; if they are meant to share sessions, give both the same REDIS_KEY_PREFIX and REDIS_DB`,
      ),
    onUnknownMessage() {
      log.warn(
        { event: 'unknown_message' },
        'a message of another version was not understood; the cache was cleared',
      )
    },
    onApplied: (delayMs) => metrics.backplaneApplied(delayMs / 1000),
    onFleet: (findings) =>
      fleetFindings(findings.map(({ kind, message }) => ({ code: kind, message }))),
  } satisfies Partial<RedisObserver>
}

function createExaminationLog(log: Log): RedisObserver['onExamined'] {
  const findingsLog = createFindingsLog(({ code, message }) =>
    log.warn({ event: 'redis_finding', code }, message),
  )
  return ({ findings }) => findingsLog(findings)
}

/** Logs each opening and closing once; a failed try in between is no change. */
function createBreakerLog(log: Log, metrics: Metrics): RedisObserver['onBreaker'] {
  const isOpen = { read: false, write: false }
  return (breaker, state) => {
    metrics.breakerChanged(breaker, state)
    if (state === 'half-open' || isOpen[breaker] === (state === 'open')) return
    isOpen[breaker] = state === 'open'
    if (isOpen[breaker]) {
      const fields = { event: 'circuit_breaker_open', breaker }
      log.error(fields, 'circuit breaker is open, falling back to memory')
    } else {
      const fields = { event: 'circuit_breaker_closed', breaker }
      log.info(fields, 'circuit breaker is closed, Redis is used again')
    }
  }
}

interface Finding {
  readonly code: string
  readonly message: string
}

/** Logs a finding when it appears, not at every examination. */
function createFindingsLog(say: (finding: Finding) => void) {
  let known = new Set<string>()
  return (findings: readonly Finding[]) => {
    for (const finding of findings) if (!known.has(finding.message)) say(finding)
    known = new Set(findings.map(({ message }) => message))
  }
}
