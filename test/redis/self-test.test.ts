import { describe, expect, test } from 'vitest'
import type { Examination } from '../../src/redis/examine/examine.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { leastUser } from '../support/least-user.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { openState, type StateOptions, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

/** A clock is measured to half of the time for which the question was under way, which a busy machine makes longer. */
const ERROR_MS = 5000

const CLEAN = {
  findings: [],
  evictionPolicy: 'noeviction',
  clockOffsetMs: expect.any(Number) as number,
  uptimeMs: expect.any(Number) as number,
  runIds: [expect.stringMatching(/^[0-9a-f]{40}$/) as string],
}

const examine = async (
  { port }: RunningRedis,
  credentials: { username?: string; password?: string; database?: number } = {},
  options: StateOptions = {},
): Promise<Examination> => {
  await using observed = openState({ port, ...credentials }, options)
  await until('an examination', () => observed.examinations.length > 0)
  expect(observed.redis.examination).toEqual(observed.examinations[0])
  return observed.examinations[0] as Examination
}
const freshRedis = reuseRedis()
const messagesOf = ({ findings }: Examination) => findings.map(({ message }) => message)

describe('the examination of a Redis', () => {
  test('finds nothing on a good server, and leaves nothing there', async () => {
    const redis = await freshRedis()
    const made = await examine(redis)
    expect(made).toEqual(CLEAN)
    // It is half of how long the question was under way, at most.
    expect(Math.abs(made.clockOffsetMs ?? Infinity)).toBeLessThan(ERROR_MS)
    expect((await redis.cli('KEYS', '*')).replace('vestibule:{dataset}', '')).toBe('')
  })

  test('finds nothing for the user that the documentation recommends', async () => {
    const users = [leastUser('app', 'secret')]
    await using redis = await startRedis({ password: 'other', users })
    expect(await examine(redis, { username: 'app', password: 'secret' })).toEqual(CLEAN)
  })

  test('finds nothing for that user in another database, with what is documented for it', async () => {
    const line = leastUser('app', 'secret').replace('&vestibule:0:events*', '&vestibule:3:events*')
    await using redis = await startRedis({ users: [`${line} +select`] })
    const user = { username: 'app', password: 'secret', database: 3 }
    expect(await examine(redis, user)).toEqual(CLEAN)
  })

  const commands =
    'set get mget del exists type scan pexpire pttl zadd zrem zrangebyscore zremrangebyscore eval publish subscribe unsubscribe ping time info'.split(
      ' ',
    )
  test('names each command that the user lacks', async () => {
    const users = commands.map((name) => `${leastUser(`no-${name}`, 'secret')} -${name}`)
    await using redis = await startRedis({ users })
    const examined = commands.map(async (name) => {
      const { findings } = await examine(redis, { username: `no-${name}`, password: 'secret' })
      expect(findings, name).toEqual([
        {
          code: 'access',
          message: `the Redis user lacks +${name} (needed for ${name.toUpperCase()})`,
        },
      ])
    })
    await Promise.all(examined)
  })

  test('every command that is documented is tried, and the other way round', () => {
    const documented = [...leastUser('a', 'b').matchAll(/ \+(\S+)/g)].map(([, name]) => name)
    expect(new Set(documented)).toEqual(new Set(commands))
  })

  test('names the keys that the user lacks', async () => {
    const users = [leastUser('app', 'secret')]
    await using redis = await startRedis({ users })
    const user = { username: 'app', password: 'secret' }
    const messages = messagesOf(await examine(redis, user, { prefix: 'other:' }))
    expect(messages).toContain('the Redis user lacks ~other:* (needed for SET)')
    expect(messages).toContain('the Redis user lacks &other:0:events* (needed for PUBLISH)')
    expect(messages.filter((message) => message.includes(' +'))).toEqual([])
  })

  test('names the channels that the user lacks', async () => {
    const users = [leastUser('app', 'secret').replaceAll(/&\S+/g, '&other')]
    await using redis = await startRedis({ users })
    const made = await examine(redis, { username: 'app', password: 'secret' })
    expect(messagesOf(made)).toEqual([
      'the Redis user lacks &vestibule:0:events* (needed for PUBLISH)',
      'the Redis user lacks &vestibule:fleet (needed for PUBLISH)',
      'the Redis user lacks &vestibule:0:events* (needed for SUBSCRIBE)',
    ])
  })

  test.for(['allkeys-lru', 'volatile-ttl', 'volatile-lru', 'allkeys-random'])(
    'says that %s loses sessions',
    async (policy, { expect }) => {
      const redis = await freshRedis()
      await redis.cli('CONFIG', 'SET', 'maxmemory-policy', policy)
      const made = await examine(redis)
      expect(made.evictionPolicy).toBe(policy)
      expect(made.findings).toEqual([
        {
          code: 'eviction',
          message: expect.stringMatching(`${policy}.*set noeviction$`) as string,
        },
      ])
    },
  )

  test('names the primary of a replica, and says nothing else', async () => {
    await using primary = await startRedis()
    await using replica = await startRedis({
      args: ['--replicaof', '127.0.0.1', `${primary.port}`],
    })
    expect(await examine(replica)).toEqual({
      findings: [
        {
          code: 'replica',
          message: `this is a replica, which refuses writes: connect to its primary 127.0.0.1:${primary.port}`,
        },
      ],
      runIds: CLEAN.runIds,
    })
  })

  test('tells a Sentinel', async () => {
    await using redis = await startRedis({ args: ['--sentinel'] })
    expect((await examine(redis)).findings).toEqual([
      {
        code: 'sentinel',
        message: expect.stringContaining('put it into REDIS_SENTINEL_ADDRESSES') as string,
      },
    ])
  })

  test('tells a node of a cluster', async () => {
    // That of Redis's choice may be one that the kernel has given to a client.
    const busPort = await steadyPort()
    await using redis = await startRedis({
      args: ['--cluster-enabled', 'yes', '--cluster-port', `${busPort}`],
    })
    const { findings } = await examine(redis)
    expect(findings).toContainEqual({
      code: 'cluster',
      message: expect.stringMatching(/node of a Redis Cluster.*set REDIS_CLUSTER=true$/) as string,
    })
    await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await until('an own cluster', async () => /state:ok/.test(await redis.cli('CLUSTER', 'INFO')))
    const later = await examine(redis)
    expect(later.findings.map(({ code }) => code)).toEqual(['cluster'])
  })

  test.for([
    [-3_600_000, /3(?:59|60)\d s ahead of this machine/],
    [60_000, /[56]\d s behind this machine/],
  ] as const)('tells a clock that differs by %i ms', async ([offsetMs, message], { expect }) => {
    const redis = await freshRedis()
    const made = await examine(redis, {}, { now: () => Date.now() + offsetMs })
    expect(made.findings).toEqual([
      { code: 'clock', message: expect.stringMatching(message) as string },
    ])
    expect(Math.abs((made.clockOffsetMs ?? 0) + offsetMs)).toBeLessThan(ERROR_MS)
  })

  test('lets a clock differ by a few seconds', async () => {
    const redis = await freshRedis()
    const made = await examine(redis, {}, { now: () => Date.now() + 2500 })
    expect(made.findings).toEqual([])
  })

  test('tells a Redis that is full', async () => {
    const redis = await freshRedis()
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const { findings } = await examine(redis)
    expect(findings).toContainEqual({ code: 'refused', message: 'SET is refused: full' })
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['refused']))
  })

  test('is made anew for every connection', async () => {
    await using redis = await startRedis()
    await using observed = openState(redis)
    await until('an examination', () => observed.examinations.length === 1)
    await redis.restart({ args: ['--maxmemory-policy', 'volatile-ttl'] })
    await until('another examination', () => observed.examinations.length === 2)
    expect(observed.examinations.map(({ evictionPolicy }) => evictionPolicy)).toEqual([
      'noeviction',
      'volatile-ttl',
    ])
    expect(observed.redis.examination?.evictionPolicy).toBe('volatile-ttl')
  })
})
