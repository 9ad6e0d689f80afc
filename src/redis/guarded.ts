import { type FailureFacts, OutageError } from '../errors.ts'
import { type Breaker, type BreakerState, createBreaker, NO_BREAKER } from './breaker.ts'
import type { Command, CommandKey, Primary, RedisClient } from './client.ts'
import type { RedisConnection } from './connection.ts'
import { BreakerOpenError, TopologyError } from './failure.ts'
import type { Call } from './send-commands.ts'
import { unavailable } from './unavailable.ts'

/** Redis behind two circuit breakers, one for reads and one for writes, because a full Redis can still be read. */
export interface GuardedRedis {
  read<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /** Reads several keys, in any slots, as one read for the breaker. */
  readEach<T>(keys: readonly string[], command: KeyCommand<T>, timeoutMs: number): Promise<T[]>
  /** Reads at each primary. Throws when some primary of a cluster is disconnected, too. */
  readAtEach<T>(command: (primary: Primary) => Promise<T>, timeoutMs: number): Promise<T[]>
  /** Runs an idempotent command, which is repeated when the connection is lost under way. */
  write<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  /** Runs an idempotent command for each key, in any slots, as one write for the breaker. */
  writeEach<T>(keys: readonly string[], command: KeyCommand<T>, timeoutMs: number): Promise<T[]>
  /** Runs a command that is never repeated. */
  writeOnce<T>(key: CommandKey, command: Command<T>, timeoutMs: number): Promise<T>
  readonly breakers: Breakers
}

/** Sends a command for one of several keys. */
export type KeyCommand<T> = (client: RedisClient, key: string) => Promise<T>

export interface Breakers {
  readonly read: Breaker
  readonly write: Breaker
}

/** Returns whether reads or writes fail at once. */
export function isSomeOpen({ read, write }: Breakers): boolean {
  return read.state === 'open' || write.state === 'open'
}

/** Command behind a breaker, and the promise of its reply. */
interface GuardedCall<T> extends Call<T> {
  readonly name: keyof Breakers
  readonly isTrial: boolean
  readonly sentAtMs: number
  readonly resolve: (reply: T) => void
  readonly reject: (cause: unknown) => void
}

export interface BreakerSettings {
  readonly isEnabled: boolean
  readonly threshold: number
  readonly timeoutMs: number
  readonly onChange: (name: keyof Breakers, state: BreakerState) => void
  /** Called with the duration of each answered read of one key or several, not of `readAtEach`. */
  readonly onRead: (seconds: number) => void
}

/** Puts the commands of a connection behind the breakers; in a half-connected cluster neither opens. */
export function guardRedis(connection: RedisConnection, settings: BreakerSettings): GuardedRedis {
  const create = (name: keyof Breakers) => createNamedBreaker(name, connection, settings)
  const breakers = { read: create('read'), write: create('write') }

  /** Sends a command that may be repeated; a single promise stands for it between here and node-redis. */
  function send<T>(
    name: keyof Breakers,
    key: CommandKey,
    command: Command<T>,
    timeoutMs: number,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const isTrial = breakers[name].admit()
      const sentAtMs = performance.now()
      const untilMs = sentAtMs + timeoutMs
      const guarded: GuardedCall<T> = {
        key,
        command,
        untilMs,
        name,
        isTrial,
        sentAtMs,
        resolve,
        reject,
        onReply,
        onFailure,
      }
      connection.sendRetryable(guarded)
    })
  }

  function onReply<T>(this: GuardedCall<T>, reply: T): void {
    breakers[this.name].succeed(this.isTrial)
    if (this.name === 'read') settings.onRead((performance.now() - this.sentAtMs) / 1000)
    this.resolve(reply)
  }

  function onFailure<T>(this: GuardedCall<T>, cause: unknown): void {
    breakers[this.name].fail(this.isTrial, cause)
    this.reject(cause)
  }

  async function timed<T>(ask: () => Promise<T>): Promise<T> {
    const sentAtMs = performance.now()
    const answer = await breakers.read.run(ask)
    settings.onRead((performance.now() - sentAtMs) / 1000)
    return answer
  }

  function runEach<T>(keys: readonly string[], command: KeyCommand<T>, timeoutMs: number) {
    const run = (key: string) =>
      connection.runRetryable(key, (client) => command(client, key), timeoutMs)
    return Promise.all(keys.map(run))
  }

  return {
    read: (key, command, timeoutMs) => send('read', key, command, timeoutMs),
    readEach: (keys, command, timeoutMs) => timed(() => runEach(keys, command, timeoutMs)),
    readAtEach: (command, timeoutMs) =>
      breakers.read.run(async () => {
        if (connection.isPartial) {
          throw unavailable(new TopologyError('cluster', 'some primaries are disconnected'))
        }
        return connection.runAtEach(command, timeoutMs)
      }),
    write: (key, command, timeoutMs) => send('write', key, command, timeoutMs),
    writeEach: (keys, command, timeoutMs) =>
      breakers.write.run(() => runEach(keys, command, timeoutMs)),
    writeOnce: (key, command, timeoutMs) =>
      breakers.write.run(() => connection.run(key, command, timeoutMs)),
    breakers,
  }
}

function createNamedBreaker(
  name: keyof Breakers,
  connection: RedisConnection,
  settings: BreakerSettings,
): Breaker {
  if (!settings.isEnabled) return NO_BREAKER
  let latest: FailureFacts = {}
  function isFailure(cause: unknown): boolean {
    // Leaves the breaker closed while a part of a cluster is disconnected, because the other primaries still answer.
    if (!(cause instanceof OutageError) || connection.isPartial) return false
    latest = cause.facts
    return true
  }
  return createBreaker({
    threshold: settings.threshold,
    timeoutMs: settings.timeoutMs,
    isFailure,
    refusal: () => refusal(latest),
    onChange: (state) => settings.onChange(name, state),
  })
}

/** Names the failure because of which the breaker is open. */
function refusal({ explanation, ...facts }: FailureFacts): OutageError {
  const why = explanation === undefined ? '' : `: ${explanation}`
  return new OutageError('Redis: breaker', new BreakerOpenError(), {
    ...facts,
    explanation: `the circuit breaker is open${why}`,
  })
}
