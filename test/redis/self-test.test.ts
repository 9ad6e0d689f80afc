import { describe, expect, test } from 'vitest'
import { type Examination, examineRedis } from '../../src/redis/examine/examine.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { leastUser } from '../support/least-user.ts'
import { infoOf, type RedisOptions, type RunningRedis, startRedis } from '../support/redis.ts'
import {
  openConnected,
  openExamined,
  openState,
  type StateOptions,
  until,
} from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'
import { words } from '../support/words.ts'

/** Half of the round trip, by which a clock is measured; a busy machine makes it longer. */
const ERROR_MS = 5000

const CLEAN = {
  findings: [],
  evictionPolicy: 'noeviction',
  clockOffsetMs: expect.any(Number) as number,
  memory: { usedBytes: expect.any(Number) as number, maxBytes: Number.POSITIVE_INFINITY },
  uptimeMs: expect.any(Number) as number,
  runIds: [expect.stringMatching(/^[0-9a-f]{40}$/) as string],
}
const USER = { username: 'app', password: 'secret' }
const LEAST = leastUser('app', 'secret')
const COMMANDS = words`
  set get mget del exists type scan pexpire pttl zadd zrem zrangebyscore zremrangebyscore
  xadd xdel xrange xrevrange eval publish subscribe unsubscribe ping time info
`

const freshRedis = reuseRedis()

async function examine(
  { port }: Pick<RunningRedis, 'port'>,
  credentials: { username?: string; password?: string; database?: number } = {},
  options: StateOptions = {},
): Promise<Examination> {
  await using observed = await openExamined({ port, ...credentials }, options)
  expect(observed.redis.examination).toEqual(observed.examinations.at(-1))
  return observed.examinations[0] as Examination
}

async function examineAs(user: string, options: StateOptions = {}, database = 0) {
  await using redis = await startRedis({ password: 'other', users: [user] })
  return await examine(redis, { ...USER, database }, options)
}

const messagesOf = ({ findings }: Examination) => findings.map(({ message }) => message)
const finding = (code: string, pattern: RegExp | string) => {
  return { code, message: expect.stringMatching(pattern) as string }
}

describe('the self-test', () => {
  test('finds nothing on a good server, and leaves no key there', async () => {
    const redis = await freshRedis()
    const examination = await examine(redis)
    expect(examination).toEqual(CLEAN)
    expect(Math.abs(examination.clockOffsetMs ?? Infinity)).toBeLessThan(ERROR_MS)
    expect((await redis.cli('KEYS', '*')).replace('vestibule:{dataset}', '')).toBe('')
  })

  test('is fewer than 40 commands', async () => {
    const redis = await freshRedis()
    await using opened = await openConnected(redis)
    const commands = () => infoOf(redis, 'stats', 'total_commands_processed:')
    const before = await commands()
    const names = { prefix: 'vestibule:', channel: 'vestibule:0:events', fleetChannel: 'fleet' }
    await examineRedis(opened.connection, names, Date.now, 3000)
    expect((await commands()) - before).toBeLessThan(40)
  })

  test.for([
    ['the documented user', LEAST, 0],
    [
      'that user in another database, with what is documented for it',
      `${LEAST.replace('&vestibule:0:events*', '&vestibule:3:events*')} +select`,
      3,
    ],
  ] as const)('finds nothing for %s', async ([, user, database]) => {
    expect(await examineAs(user, {}, database)).toEqual(CLEAN)
  })

  test('names each command that the user lacks', async () => {
    const users = COMMANDS.map((name) => `${leastUser(`no-${name}`, 'secret')} -${name}`)
    await using redis = await startRedis({ users })
    const examined = COMMANDS.map(async (name) => {
      const { findings } = await examine(redis, { username: `no-${name}`, password: 'secret' })
      const isForBroadcasts = name.startsWith('x')
      const lack = `the Redis user lacks +${name} (needed for ${name.toUpperCase()})`
      const message = isForBroadcasts ? `${lack}; until then no broadcast can be sent` : lack
      const stops = !isForBroadcasts && !words`scan subscribe unsubscribe ping info`.includes(name)
      expect(findings, name).toEqual([
        {
          code: 'rights',
          message,
          ...(stops && { stopsSignIn: true }),
          ...(name === 'subscribe' && { stopsMessages: true }),
        },
      ])
    })
    await Promise.all(examined)
  })

  test('tries the documented commands and no others', () => {
    const documented = [...leastUser('a', 'b').matchAll(/ \+(\S+)/g)].map(([, name]) => name)
    expect(new Set(documented)).toEqual(new Set(COMMANDS))
  })

  test('names the keys that the user lacks', async () => {
    const messages = messagesOf(await examineAs(LEAST, { prefix: 'other:' }))
    expect(messages).toContain('the Redis user lacks ~other:* (needed for SET)')
    expect(messages).toContain('the Redis user lacks &other:0:events* (needed for PUBLISH)')
    expect(messages.filter((message) => message.includes(' +'))).toEqual([])
  })

  test('names the channels that the user lacks', async () => {
    expect(messagesOf(await examineAs(LEAST.replaceAll(/&\S+/g, '&other')))).toEqual([
      'the Redis user lacks &vestibule:0:events* (needed for PUBLISH)',
      'the Redis user lacks &vestibule:fleet (needed for PUBLISH)',
      'the Redis user lacks &vestibule:0:events* (needed for SUBSCRIBE)',
    ])
  })

  const policies = words`allkeys-lru volatile-ttl volatile-lru allkeys-random`
  test.for(policies)('finds that %s evicts', async (policy) => {
    const redis = await freshRedis()
    await redis.cli('CONFIG', 'SET', 'maxmemory-policy', policy)
    expect(await examine(redis)).toMatchObject({
      evictionPolicy: policy,
      findings: [finding('eviction', `${policy}.*set noeviction$`)],
    })
  })

  test('names the primary of a replica, and finds nothing else', async () => {
    await using primary = await startRedis()
    const args = ['--replicaof', '127.0.0.1', `${primary.port}`]
    await using replica = await startRedis({ args })
    const message = `this is a replica, which refuses writes: connect to its primary 127.0.0.1:${primary.port}`
    expect(await examine(replica)).toEqual({
      findings: [{ code: 'replica', message, stopsSignIn: true }],
      runIds: CLEAN.runIds,
    })
  })

  test('finds a Sentinel', async () => {
    await using redis = await startRedis({ args: ['--sentinel'] })
    const { findings } = await examine(redis)
    expect(findings).toMatchObject([finding('sentinel', 'put it into REDIS_SENTINEL_ADDRESSES')])
  })

  test('finds a node of a cluster', async () => {
    // Gives the port of the cluster bus, because the kernel may have given Redis's default to a client.
    const busPort = await steadyPort()
    const args = ['--cluster-enabled', 'yes', '--cluster-port', `${busPort}`]
    await using redis = await startRedis({ args })
    const expected = finding('cluster', /node of a Redis Cluster.*set REDIS_CLUSTER=true$/)
    expect((await examine(redis)).findings).toMatchObject([expected])
    await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await until('an own cluster', async () => /state:ok/.test(await redis.cli('CLUSTER', 'INFO')))
    expect((await examine(redis)).findings).toMatchObject([expected])
  })

  test.for([
    [-3_600_000, [finding('clock', /3(?:59|60)\d s ahead of this machine/)]],
    [60_000, [finding('clock', /[56]\d s behind this machine/)]],
    [2500, []],
  ] as const)('compares a clock that differs by %i ms', async ([offsetMs, findings]) => {
    const now = () => Date.now() + offsetMs
    const examination = await examine(await freshRedis(), {}, { now })
    expect(examination.findings).toEqual(findings)
    expect(Math.abs((examination.clockOffsetMs ?? 0) + offsetMs)).toBeLessThan(ERROR_MS)
  })

  test.for<[code: string, RedisOptions, asked: readonly string[]]>([
    ['full', {}, ['CONFIG', 'SET', 'maxmemory', '1']],
    ['replication', {}, ['CONFIG', 'SET', 'min-replicas-to-write', '1']],
    ['unsupported', { lines: ['rename-command EVAL ""'] }, ['PING']],
  ])('finds once that writes are refused: %s', async ([code, options, asked]) => {
    await using redis = await startRedis(options)
    await redis.cli(...asked)
    const { findings } = await examine(redis)
    expect(findings).toEqual([{ ...finding(code, /./), stopsSignIn: true }])
  })

  test('goes on without INFO, SCAN and TIME of a service that leaves them out', async () => {
    const lines = words`INFO SCAN TIME`.map((name) => `rename-command ${name} ""`)
    await using redis = await startRedis({ lines })
    const messages = messagesOf(await examine(redis))
    const expected = words`SCAN TIME INFO`.map(
      (name) => expect.stringMatching(`know ${name}:`) as string,
    )
    expect(messages).toEqual(expected)
  })

  test('runs anew for each connection', async () => {
    await using redis = await startRedis()
    await using observed = openState(redis)
    await until('an examination', () => observed.examinations.length === 1)
    await redis.restart({ args: ['--maxmemory-policy', 'volatile-ttl'] })
    await until('another examination', () => observed.examinations.length === 2)
    const policies = observed.examinations.map(({ evictionPolicy }) => evictionPolicy)
    expect(policies).toEqual(['noeviction', 'volatile-ttl'])
    expect(observed.redis.examination?.evictionPolicy).toBe('volatile-ttl')
  })
})
