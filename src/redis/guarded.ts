import { OutageError } from '../errors.ts'
import { type Breaker, type BreakerState, createBreaker, NO_BREAKER } from './breaker.ts'
import type { Command, CommandKey, Primary } from './client.ts'
import type { RedisConnection } from './connection.ts'
import { BreakerOpenError, TopologyError, unavailable } from './failure.ts'

/** Commands behind circuit breakers, one for what reads and one for what writes: a full Redis can still be read. */
export interface GuardedRedis {
  read<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /** At each primary; throws also where some of them cannot be asked. */
  readAtEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number): Promise<T[]>
  /** For what may be carried out twice. */
  write<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  writeOnce<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  readonly breakers: Breakers
}

export interface Breakers {
  readonly read: Breaker
  readonly write: Breaker
}

export interface BreakerSettings {
  readonly isEnabled: boolean
  readonly threshold: number
  readonly timeoutMs: number
  readonly onChange: (name: keyof Breakers, state: BreakerState) => void
  /** How long a read took that was answered. */
  readonly onRead: (seconds: number) => void
}

export function guardRedis(connection: RedisConnection, settings: BreakerSettings): GuardedRedis {
  const create = (name: keyof Breakers) => createNamed(name, connection, settings)
  const breakers = { read: create('read'), write: create('write') }
  return {
    async read(key, command, timeoutMs) {
      const sentAtMs = performance.now()
      const answer = await breakers.read.run(() => connection.runRetryable(key, command, timeoutMs))
      settings.onRead((performance.now() - sentAtMs) / 1000)
      return answer
    },
    readAtEach: (command, timeoutMs) =>
      breakers.read.run(async () => {
        if (connection.isPartial)
          throw unavailable(new TopologyError('cluster', 'some primaries are away'))
        return connection.runAtEach(command, timeoutMs)
      }),
    write: (key, command, timeoutMs) =>
      breakers.write.run(() => connection.runRetryable(key, command, timeoutMs)),
    writeOnce: (key, command, timeoutMs) =>
      breakers.write.run(() => connection.run(key, command, timeoutMs)),
    breakers,
  }
}

function createNamed(
  name: keyof Breakers,
  connection: RedisConnection,
  settings: BreakerSettings,
): Breaker {
  if (!settings.isEnabled) return NO_BREAKER
  return createBreaker({
    threshold: settings.threshold,
    timeoutMs: settings.timeoutMs,
    // What one primary of a cluster cannot answer is no reason not to ask the others.
    isFailure: (cause) => cause instanceof OutageError && !connection.isPartial,
    refusal: () => unavailable(new BreakerOpenError()),
    onChange: (state) => settings.onChange(name, state),
  })
}
