import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { leastUser } from '../../support/least-user.ts'
import * as outage from '../../support/outage.ts'
import { startOutageCourse } from '../../support/outage-course.ts'
import { print } from '../../support/printed.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'

const OLD = 'old-password-that-nobody-logs'
const NEW = 'new-password-that-nobody-logs'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vestibule-f18-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Connections of three replicas: one each for commands, and one for messages. */
const CONNECTIONS = 6

function killClients(redis: RunningRedis) {
  return redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
}
async function attempts(redis: RunningRedis): Promise<number> {
  return Number(/total_connections_received:(\d+)/.exec(await redis.cli('INFO', 'stats'))?.[1])
}

const passwords = [
  [
    'of the default user',
    { redis: { password: OLD } },
    (redis: RunningRedis) => redis.cli('CONFIG', 'SET', 'requirepass', NEW),
  ],
  [
    'of an ACL user',
    { redis: { users: [leastUser('app', OLD)] }, settings: { REDIS_USERNAME: 'app' } },
    (redis: RunningRedis) => redis.cli('ACL', 'SETUSER', 'app', 'resetpass', `>${NEW}`),
  ],
] as const

async function start(name: string, options: (typeof passwords)[number][1]) {
  const passwordFile = join(folder, name.replaceAll(/\W/g, '-'))
  await writeFile(passwordFile, `${OLD}\n`)
  const settings = { ...('settings' in options && options.settings) }
  const replicas = await startReplicas({
    ...options,
    settings: { ...settings, ...outage.WITHOUT_GRACE, REDIS_PASSWORD_FILE: passwordFile },
  })
  return Object.assign(replicas, { passwordFile })
}

describeWithRedis('F18 rotated password', () => {
  test.for(passwords)(
    '%s: a file rewritten first costs no more than a new connection',
    async ([name, options, rotate], { expect }) => {
      await using replicas = await start(`first ${name}`, options)
      const { first, redis } = replicas
      const { cookie } = await replicas.signedIn()
      await writeFile(replicas.passwordFile, `${NEW}\n`)
      await rotate(redis)
      await outage.expectRecovery(`F18 ${name}: rotated, not noticed yet`, first, cookie)
      await killClients(redis)
      await outage.expectRecovery(`F18 password ${name}`, first, cookie)
      await outage.expectHealthy(first)
      expect(first.output()).not.toContain(OLD)
      expect(first.output()).not.toContain(NEW)
      expect(first.isAlive()).toBe(true)
    },
  )

  test.for(passwords)(
    '%s: with a file rewritten late, replicas try again with back-off until it fits',
    async ([name, options, rotate], { expect }) => {
      await using replicas = await start(`late ${name}`, options)
      const { first, redis } = replicas
      const course = await startOutageCourse(replicas)
      const { cookie } = course
      await rotate(redis)
      await outage.expectRecovery(`F18 ${name}: rotated, not noticed yet`, first, cookie)
      const attemptsBefore = await attempts(redis)
      const sinceMs = performance.now()
      await killClients(redis)
      await until('the loss', () => outage.countEvents(first, 'redis_disconnected') === 1)
      await until(
        'some attempts',
        async () => (await attempts(redis)) > attemptsBefore + 2 * CONNECTIONS,
      )
      await course.expectDegraded()
      const made = (await attempts(redis)) - attemptsBefore
      const seconds = (performance.now() - sinceMs) / 1000
      print(`F18 ${made} attempts with a wrong password in ${seconds.toFixed(1)} s`)
      expect(made).toBeLessThan(outage.mostAttempts(CONNECTIONS, seconds))
      expect(outage.countEvents(first, 'redis_disconnected')).toBe(1)
      await writeFile(replicas.passwordFile, `${NEW}\n`)
      await course.expectRecovered(`F18 password ${name}, rewritten late`)
      expect(first.output()).not.toContain(OLD)
      expect(first.output()).not.toContain(NEW)
    },
  )

  test('a wrong password has an error class of its own', async () => {
    const [, options] = passwords[0]
    await using replicas = await start('metric', options)
    const { first, redis } = replicas
    await replicas.signedIn()
    await redis.cli('CONFIG', 'SET', 'requirepass', NEW)
    await killClients(redis)
    await until('the loss', () => outage.countEvents(first, 'redis_disconnected') === 1)
    await until('a wrong password', async () => (await outage.redisErrors(first, 'auth')) > 0)
  })
})
