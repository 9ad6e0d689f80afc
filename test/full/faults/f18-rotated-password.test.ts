import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { useFolder } from '../../support/configuration.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { leastUser } from '../../support/least-user.ts'
import * as outage from '../../support/outage.ts'
import { startOutageCourse } from '../../support/outage-course.ts'
import { until } from '../../support/own-lag.ts'
import { infoOf, type RunningRedis } from '../../support/redis.ts'
import { startWatchedRedis } from '../../support/redis-sentinel.ts'
import { settingsFor } from '../../support/redis-settings.ts'
import { describeWithRedis, PATIENT, startReplicas } from '../../support/replicas.ts'

const OLD = 'old-password-that-nobody-logs'
const NEW = 'new-password-that-nobody-logs'
const folder = useFolder()

/** Connections of three replicas: one each for commands, and one for messages. */
const CONNECTIONS = 6

function killClients(redis: RunningRedis) {
  return redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
}

function attempts(redis: RunningRedis): Promise<number> {
  return infoOf(redis, 'stats', 'total_connections_received:')
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

async function start(options: (typeof passwords)[number][1]) {
  const passwordFile = await folder.write(`${OLD}\n`)
  const settings = { ...('settings' in options && options.settings) }
  const replicas = await startReplicas({
    ...options,
    settings: { ...settings, ...outage.WITHOUT_GRACE, REDIS_PASSWORD_FILE: passwordFile },
  })
  return Object.assign(replicas, {
    rewriteFile: () => writeFile(passwordFile, `${NEW}\n`),
    expectNotLogged: () => {
      for (const secret of [OLD, NEW]) expect(replicas.first.output()).not.toContain(secret)
    },
  })
}

describeWithRedis('F18 rotated password', () => {
  test.for(passwords)(
    '%s: a file rewritten first costs one connection',
    async ([, options, rotate]) => {
      await using replicas = await start(options)
      const { first, redis } = replicas
      const { cookie } = await replicas.signedIn()
      await replicas.rewriteFile()
      await rotate(redis)
      await outage.expectRecovery(first, cookie)
      await killClients(redis)
      await outage.expectRecovery(first, cookie)
      await outage.expectHealthy(first)
      replicas.expectNotLogged()
      expect(first.isAlive()).toBe(true)
    },
  )

  test.for(passwords)('%s: a late file is awaited with back-off', async ([, options, rotate]) => {
    await using replicas = await start(options)
    const { first, redis } = replicas
    const course = await startOutageCourse(replicas)
    await rotate(redis)
    await outage.expectRecovery(first, course.cookie)
    const attemptsBefore = await attempts(redis)
    const sinceMs = performance.now()
    await killClients(redis)
    await outage.untilEvent(first, 'redis_disconnected')
    const isTried = async () => (await attempts(redis)) > attemptsBefore + 2 * CONNECTIONS
    await until('some attempts', isTried)
    await course.expectDegraded()
    const made = (await attempts(redis)) - attemptsBefore
    const seconds = (performance.now() - sinceMs) / 1000
    expect(made).toBeLessThan(outage.mostAttempts(CONNECTIONS, seconds))
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(1)
    expect(await outage.redisErrors(first, 'auth')).toBeGreaterThan(0)
    await replicas.rewriteFile()
    await course.expectRecovered()
    replicas.expectNotLogged()
  })

  test('of Sentinels: sessions are kept through a failover by Sentinels whose password was rotated', async () => {
    const [before, changed] = [randomUUID(), randomUUID()]
    await using redis = await startWatchedRedis({ sentinelPassword: before })
    const passwordFile = await folder.write(`${before}\n`)
    const { REDIS_SENTINEL_PASSWORD: _, ...place } = settingsFor(redis.target)
    const settings = { ...PATIENT, ...place, REDIS_SENTINEL_PASSWORD_FILE: passwordFile }
    await using replicas = await startReplicas({ settings })
    const { first } = replicas
    await outage.untilEvent(first, 'redis_connected')
    const { cookie } = await replicas.signedIn()
    await redis.servers[0].cli('WAIT', '2', '1000')
    for (const sentinel of redis.sentinels) {
      await sentinel.cli('SENTINEL', 'CONFIG', 'SET', 'sentinel-pass', changed)
      await sentinel.cli('ACL', 'SETUSER', 'default', 'resetpass', `>${changed}`)
    }
    await writeFile(passwordFile, `${changed}\n`)
    await redis.servers[0].kill()
    await outage.untilEvent(first, 'redis_disconnected')
    const isAllowed = async () => {
      const status = await outage.statusAt(first, cookie)
      expect([200, 503]).toContain(status)
      return status === 200
    }
    await until('a check that is allowed', isAllowed)
    await outage.untilEvent(first, 'redis_connected', 2)
    await untilWhole([first])
    expect(await outage.statusAt(first, cookie)).toBe(200)
    expect(await outage.statusAt(first, (await replicas.signedIn('bob')).cookie)).toBe(200)
    for (const secret of [before, changed]) expect(first.output()).not.toContain(secret)
  })
})
