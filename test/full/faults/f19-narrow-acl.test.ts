import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { leastUser } from '../../support/least-user.ts'
import {
  countEvents,
  expectChecksRefused,
  expectComeAgain,
  expectOthersServed,
  readHealth,
  redisErrors,
  signOut,
  untilMetric,
} from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

const PASSWORD = 'a-password-that-nobody-logs'

/** Rule that removes a permission, rule that restores it, and its name in the finding. */
const permissions = [
  ...[...leastUser('app', PASSWORD).matchAll(/ \+(\S+)/g)].map(
    ([, name]) => [`-${name}`, `+${name}`, `+${name}`] as const,
  ),
  ['resetkeys', '~vestibule:*', '~vestibule:*'],
  [
    'resetchannels &vestibule:fleet',
    'resetchannels &vestibule:0:events* &vestibule:fleet',
    '&vestibule:0:events*',
  ],
  ['resetchannels &vestibule:0:events*', '&vestibule:fleet', '&vestibule:fleet'],
] as const

describeWithRedis('F19 ACL too narrow', () => {
  const replicas = prepared(() =>
    startReplicas({
      redis: { users: [leastUser('app', PASSWORD)] },
      settings: { REDIS_USERNAME: 'app', REDIS_PASSWORD: PASSWORD },
    }),
  )

  const messages = async () =>
    (await readHealth(replicas().first)).cache.redis.findings.map(({ message }) => message)
  const lines = () =>
    replicas()
      .first.log()
      .filter((line) => line['event'] === 'redis_finding')
  /** Permissions count at once; what is found out is found out at the next connection. */
  const change = async (rules: string) => {
    const { redis, first } = replicas()
    const connectionsBefore = countEvents(first, 'redis_connected')
    await redis.cli('ACL', 'SETUSER', 'app', ...rules.split(' '))
    await redis.cli('CLIENT', 'KILL', 'USER', 'app')
    await until('a new connection', () => countEvents(first, 'redis_connected') > connectionsBefore)
  }

  test('the documented user has every permission', async () => {
    const { first } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect((await signOut(browser)).status).toBe(303)
    const examined = 'vestibule_redis_eviction_policy_ok'
    await untilMetric(first, examined, 1)
    expect(await messages()).toEqual([])
  })

  test.for(permissions)(
    '%s: the finding names the missing permission',
    async ([take, give, name], { expect }) => {
      const linesBefore = lines().length
      await change(take)
      await until('the finding', async () => (await messages()).some((text) => text.includes(name)))
      const told = await messages()
      expect(told.filter((text) => text.includes(`lacks ${name} `))).not.toEqual([])
      expect(told.every((text) => text.includes(`lacks ${name} `))).toBe(true)
      expect(lines().length).toBeGreaterThan(linesBefore)
      expect(replicas().first.isAlive()).toBe(true)
      await change(give)
      await until('nothing to find', async () => (await messages()).length === 0)
    },
  )

  // It is an answer about our rights and no outage, so nothing stands in for it.
  test('without GET checks are deferred, also for sessions that were known before', async () => {
    const { first } = replicas()
    const { cookie } = await replicas().signedIn()
    const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
    await change('-get')
    await expectChecksRefused(first, asserted)
    expect(await redisErrors(first, 'permission')).toBeGreaterThan(0)
    await change('+get')
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
  })

  test.for(['set', 'eval', 'publish'])(
    'without %s writes fail loudly, and reads go on',
    async (command, { expect }) => {
      const { first, provider } = replicas()
      const { browser, cookie } = await replicas().signedIn()
      const { browser: other, callbackUrl } = await replicas().untilCallback('bob')
      provider.forgetRequests()
      await change(`-${command}`)
      expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
      expectComeAgain(await signOut(browser), 'quiet page')
      expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
      if (command === 'set') {
        expectComeAgain(await other.get(callbackUrl))
        expect(provider.count('token')).toBe(0)
      }
      await change(`+${command}`)
      expect((await signOut(browser)).status).toBe(303)
      expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
      await expectOthersServed(first)
      expect(first.output()).not.toContain(PASSWORD)
    },
  )
})
