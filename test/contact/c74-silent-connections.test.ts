import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Command, openClient } from '../../src/redis/client.ts'
import { examineRedis } from '../../src/redis/examine/examine.ts'
import { keepOpen } from '../../src/redis/keep-open.ts'
import { createPendingReplies } from '../../src/redis/pending-replies.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import { openConnection, until } from '../support/redis-state.ts'
import { type Reply, speakWell, startSpokenRedis } from '../support/spoken-redis.ts'

vi.mock('node:timers/promises', async (load) => {
  const timers = await load<typeof import('node:timers/promises')>()
  return { ...timers, setTimeout: vi.fn(timers.setTimeout) }
})

/** Deadline that settles nothing in a test. */
const NO_DEADLINE_MS = 24 * 60 * 60 * 1000
function ignore() {
  return undefined
}
const names = { prefix: 'p:', channel: 'p:0:events', fleetChannel: 'vestibule:fleet' }

/** Silent to one kind of command, and to whatever comes after it on the same connection. */
function silentFrom(name: string): Reply {
  const silenced = new WeakSet<object>()
  return (command, connection) => {
    if (command[0]?.toUpperCase() === name) silenced.add(connection)
    return silenced.has(connection) ? undefined : speakWell(command, connection)
  }
}

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const commands: readonly (readonly [string, string, Command<unknown>])[] = [
  ['a read', 'GET', (client) => client.get('key')],
  ['a read of bytes', 'GET', (_, binary) => binary.get('key')],
  ['a script', 'EVAL', (client) => client.eval('return 1', { keys: ['key'], arguments: [] })],
  ['a publication', 'PUBLISH', (client) => client.publish('channel', 'text')],
  ['a subscription', 'SUBSCRIBE', (client) => client.subscribe('channel', ignore)],
  [
    // Sent when the connection is over already: node-redis never settles it.
    'an unsubscription after it',
    'SUBSCRIBE',
    async (client) => {
      await client.subscribe('channel', ignore).catch(ignore)
      await client.unsubscribe('channel', ignore)
    },
  ],
]

describe('C74: what waits on a connection that ends', () => {
  test.for(commands)('%s is rejected when its connection ends', async ([, name, command]) => {
    await using redis = await startSpokenRedis(silentFrom(name))
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    const [first] = redis.connections
    const given = Promise.allSettled(
      [1, 2, 3].map(() => connection.run(undefined, command, NO_DEADLINE_MS)),
    )
    const isHeard = () => first?.heard.some(([sent]) => sent?.toUpperCase() === name) === true
    await until('the command', isHeard)
    expect(connection.inFlight).toBe(3)
    first?.end()
    for (const each of await given) {
      expect(each).toMatchObject({ status: 'rejected', reason: { message: 'Redis: connection' } })
    }
    expect(connection.inFlight).toBe(0)
  })

  test('an examination fails as a whole, without findings', async () => {
    await using redis = await startSpokenRedis(silentFrom('SUBSCRIBE'))
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    const [first] = redis.connections
    const given = examineRedis(connection, names, Date.now, NO_DEADLINE_MS).then(
      ({ findings }) => findings,
      (cause: unknown) => cause,
    )
    await until('the step that gets no answer', () => first?.heard.at(-1)?.[0] === 'subscribe')
    first?.end()
    expect(await given).toMatchObject({ message: 'Redis: connection' })
    expect(connection.inFlight).toBe(0)
  })

  test('no command is sent over a connection that has ended', async () => {
    const life = new AbortController()
    const pending = createPendingReplies(life.signal)
    const cause = new Error('over')
    life.abort(cause)
    const ask = vi.fn(() => Promise.resolve())
    await expect(pending.run(ask)).rejects.toBe(cause)
    expect(ask).not.toHaveBeenCalled()
  })
})

describe('C74: a connection is judged by its own commands alone', () => {
  const SWEEP_MS = 20
  /** The clock and the sweeps, which go on when the test says so; the network goes on by itself. */
  const holdTime = () => {
    const clock = holdMonotonicClock()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    return (ms: number): void => {
      for (let leftMs = ms; leftMs > 0; leftMs -= SWEEP_MS) {
        clock.elapse(SWEEP_MS)
        vi.advanceTimersByTime(SWEEP_MS)
      }
    }
  }
  const echo: Command<string> = (client) => client.echo('here')

  test('a connection that replaced a silent one stays open, whatever the silent one left unanswered', async () => {
    const elapse = holdTime()
    await using redis = await startSpokenRedis(silentFrom('SUBSCRIBE'))
    await using opened = openConnection(redis)
    const { connection } = opened
    await connection.firstAttempt
    const leaving: Command<void> = async (client) => {
      await client.subscribe('channel', ignore).catch(ignore)
      await client.unsubscribe('channel', ignore)
    }
    const left = connection.run(undefined, leaving, NO_DEADLINE_MS).catch(ignore)
    await until('the command', () => redis.connections[0]?.heard.at(-1)?.[0] === 'subscribe')
    elapse(1900)
    expect(opened.disconnected).toEqual([])
    elapse(200)
    await until('the loss', () => opened.disconnected.length === 1)
    await until('another connection', () => connection.isConnected)
    await left
    for (let round = 0; round < 20; round += 1) {
      expect(await connection.run(undefined, echo, NO_DEADLINE_MS)).toBe('here')
      elapse(500)
      await pause(0)
    }
    expect(redis.connections).toHaveLength(2)
    expect([opened.connected(), connection.inFlight]).toEqual([2, 0])
  })

  test('a command of many steps, each answered in time, does not make it silent', async () => {
    const elapse = holdTime()
    const steps: string[] = []
    await using redis = await startSpokenRedis((command, connection) => {
      if (/^(?:DEL|(?:UN)?SUBSCRIBE)$/i.test(command[0] ?? '')) {
        steps.push(command[0] ?? '')
        elapse(1500)
      }
      return speakWell(command, connection)
    })
    await using opened = openConnection(redis)
    await opened.connection.firstAttempt
    await examineRedis(opened.connection, names, Date.now, NO_DEADLINE_MS)
    expect(steps.map((step) => step.toUpperCase())).toEqual([
      'DEL',

      'SUBSCRIBE',
      'UNSUBSCRIBE',
    ])
    elapse(100)
    await pause(0)
    expect(opened.disconnected).toEqual([])
    expect(redis.connections).toHaveLength(1)
  })
})

describe('C74: one calm connection', () => {
  test('a client that is given up while it connects leaves none behind', async () => {
    await using redis = await startSpokenRedis()
    const life = new AbortController()
    const server = { host: '127.0.0.1', port: redis.port, database: 0 }
    const opening = openClient(server, NO_DEADLINE_MS, life.signal)
    life.abort(new Error('not needed any more'))
    await expect(opening).rejects.toThrow('not needed any more')
    await until('the end of the connection', () => redis.connections[0]?.isOver === true)
  })

  test('connections that always end soon are retried with growing back-off', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const pauses = vi.mocked(pause)
    pauses.mockClear()
    const closed = Promise.withResolvers<void>()
    let connections = 0
    const ended = Promise.reject(new Error('ended'))
    ended.catch(ignore)
    const kept = keepOpen({
      open: async () => ({ lost: ended }) as never,
      onOpen() {
        connections += 1
        if (connections === 5) closed.resolve(kept.close())
      },
      onEnded: ignore,
    })
    await closed.promise
    expect(pauses.mock.calls.map(([ms]) => ms)).toEqual([25, 50, 100, 200, 400])
  })
})
