import { Counter, Gauge, type Registry } from 'prom-client'

/** What can be told of Redis at the moment somebody reads `/metrics`. */
export interface ObservedRedis {
  readonly isConnected: boolean
  readonly commandsInFlight: number
  readonly examination: { evictionPolicy?: string; clockOffsetMs?: number } | undefined
}

/** Registers the metrics of a Redis; returns the counter of failures by class. */
export function createRedisMetrics(
  registry: Registry,
  observe: () => ObservedRedis,
): (failure: string) => void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: (redis: ObservedRedis) => number) =>
    new Gauge({
      name: `vestibule_redis_${name}`,
      help,
      registers,
      collect() {
        this.set(read(observe()))
      },
    })
  gauge('connected', '1 when commands can be sent to Redis', ({ isConnected }) =>
    Number(isConnected),
  )
  gauge(
    'commands_in_flight',
    'Commands that Redis has not answered yet',
    ({ commandsInFlight }) => commandsInFlight,
  )
  gauge(
    'eviction_policy_ok',
    '1 when Redis is set to noeviction, 0 when not or not known',
    ({ examination }) => Number(examination?.evictionPolicy === 'noeviction'),
  )
  gauge(
    'clock_offset_seconds',
    'How far the clock of Redis is ahead of ours',
    ({ examination }) => (examination?.clockOffsetMs ?? Number.NaN) / 1000,
  )
  const failures = new Counter({
    name: 'vestibule_redis_errors_total',
    help: 'Failures of Redis by class',
    labelNames: ['class'],
    registers,
  })
  return (failure) => failures.inc({ class: failure })
}
