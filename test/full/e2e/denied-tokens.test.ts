import { afterAll, beforeAll, expect, test } from 'vitest'
import { digestOfParts } from '../../../src/crypto/digest.ts'
import {
  asProgram,
  bearerRule,
  expectTokenRefusal,
  mintAccessToken,
} from '../../support/bearers.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { SUBSCRIBER } from '../../support/hybrid-replicas.ts'
import { ADMIN_TOKEN, askAdmin } from '../../support/operator.ts'
import { countEvents } from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, type Replicas, startReplicas } from '../../support/replicas.ts'
import { type WrittenRules, writeRules } from '../../support/rules-file.ts'
import { addDirectly } from '../../support/stored-session.ts'
import { claimsOf } from '../../support/tokens.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import type { Visit } from '../../support/visitor.ts'

const ROUNDS = 10
const PROMPT_MS = BUSY_MS
const RELOAD_MS = 5000
const KEY = 'vestibule:{denied}'
function present(replica: RunningVestibule, token: string): Promise<Visit> {
  return replica.check({ uri: '/api/' }, { ...asProgram, Authorization: `Bearer ${token}` })
}
async function isLetIn(replica: RunningVestibule, token: string): Promise<boolean> {
  const visit = await present(replica, token)
  if (visit.status !== 200) expectTokenRefusal(visit, 'invalid_token')
  return visit.status === 200
}
async function deny(replica: RunningVestibule, body: unknown) {
  const answer = await askAdmin(replica, 'POST', 'denied-tokens', body)
  expect(answer).toMatchObject({ status: 200, body: { denied: true } })
}

describeWithRedis('tokens that an operator denies', () => {
  let fleet: Replicas
  let rules: WrittenRules
  let second: RunningVestibule
  const settings = () => ({ ...HYBRID, ADMIN_TOKEN, VESTIBULE_CONFIG: rules.path })
  beforeAll(async () => {
    rules = await writeRules([bearerRule('/api/**'), { access: 'signed-in' }])
    fleet = await startReplicas({ count: 3, settings: settings() })
    await untilWhole(fleet.all)
    second = fleet.all[1] as RunningVestibule
  })
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]()
    await rules[Symbol.asyncDispose]()
  })

  /** A token that every replica has verified and remembers. */
  const known = async (replicas = fleet.all): Promise<string> => {
    const token = await mintAccessToken(fleet.provider)
    for (const replica of replicas) {
      for (let time = 0; time < 2; time++) expect(await isLetIn(replica, token)).toBe(true)
    }
    return token
  }
  /** When the last one was sent that was let in: how long its answer took, and the next one's, is no matter here. */
  const lastLetIn = async (replica: RunningVestibule, token: string): Promise<number> => {
    let lastMs = Number.NEGATIVE_INFINITY
    await until(
      'a refusal',
      async () => {
        const sentAtMs = performance.now()
        if (!(await isLetIn(replica, token))) return true
        lastMs = sentAtMs
        return false
      },
      60_000,
    )
    return lastMs
  }
  const untilRefused = async (replica: RunningVestibule, token: string, withinMs = 60_000) =>
    (await timed(until('a refusal', async () => !(await isLetIn(replica, token)), withinMs))).ownMs

  test('are refused at every replica within milliseconds, also where they were remembered', async () => {
    const staying = await known()
    const delays: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const token = await known()
      const watched = fleet.all.map((replica) => untilRefused(replica, token))
      await deny(second, { token })
      delays.push(...(await Promise.all(watched)))
    }
    const sorted = delays.toSorted((a, b) => a - b)
    print(
      `an operator denies a token: refused after ${sorted[sorted.length / 2]?.toFixed(0)} ms in the median, ${sorted.at(-1)?.toFixed(0)} ms at most (${delays.length} observations, 3 replicas)`,
    )
    expect(sorted.at(-1)).toBeLessThan(PROMPT_MS)
    for (const replica of fleet.all) expect(await isLetIn(replica, staying)).toBe(true)
    const { body } = await askAdmin(fleet.first, 'GET', 'denied-tokens')
    expect(body).toMatchObject({ denied: ROUNDS })
  })

  test('may be named without being shown, before anybody has used them', async () => {
    const [jti, token] = ['by-name', await mintAccessToken(fleet.provider, { jti: 'by-name' })]
    await deny(second, { jti })
    for (const replica of fleet.all) await untilRefused(replica, token)
    const visit = await present(second, token)
    expect(visit.headers['www-authenticate']).toContain('the token has been revoked')
  })

  test('are in Redis as digests in one set that ends with the last of them', async () => {
    const secret = 'jti-that-nobody-shall-read'
    await deny(second, { jti: secret, iss: fleet.provider.issuer, exp: Date.now() / 1000 + 600 })
    const members = (await fleet.redis.cli('ZRANGE', KEY, '0', '-1')).split('\n')
    expect(members.every((member) => /^[A-Za-z0-9_-]{43}$/.test(member))).toBe(true)
    const ttlMs = Number(await fleet.redis.cli('PTTL', KEY))
    expect(ttlMs).toBeGreaterThan(23 * 3_600_000)
    expect(ttlMs).toBeLessThanOrEqual(86_460_000)
    for (const replica of fleet.all) expect(replica.output()).not.toContain(secret)
  })

  test('are refused after five seconds where no message arrives, and by a replica that starts later', async () => {
    const aside = await addDirectly(fleet, settings())
    await untilWhole([...fleet.all, aside])
    const token = await known([...fleet.all, aside])
    const hearAgain = fleet.network.muffle(SUBSCRIBER, 'present and later')
    try {
      await deny(aside, { token })
      const deniedAtMs = performance.now()
      expect(await isLetIn(aside, token)).toBe(false)
      const delays = await Promise.all(
        fleet.all.map(async (replica) => (await lastLetIn(replica, token)) - deniedAtMs),
      )
      print(
        `no message arrives: a denied token is let in up to ${Math.max(...delays).toFixed(0)} ms later`,
      )
      expect(Math.max(...delays)).toBeLessThan(RELOAD_MS + 2 * BUSY_MS)
    } finally {
      hearAgain()
    }
    const newcomer = await fleet.add()
    expect(await isLetIn(newcomer, token)).toBe(false)
    await untilWhole(fleet.all)
  })

  test('stay denied while Redis is away; who starts then cannot know, says so, and learns it when Redis is back', async () => {
    const [denied, staying] = [await known(), await known()]
    await deny(second, { token: denied })
    for (const replica of fleet.all) await untilRefused(replica, denied)
    await fleet.network.refuse()
    for (const replica of fleet.all) {
      expect(await isLetIn(replica, denied)).toBe(false)
      expect(await isLetIn(replica, staying)).toBe(true)
    }
    const answer = await askAdmin(second, 'POST', 'denied-tokens', { token: staying })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await isLetIn(second, staying)).toBe(true)
    const newcomer = await fleet.add()
    expect(await isLetIn(newcomer, denied)).toBe(true)
    expect(countEvents(newcomer, 'deny_list_unread')).toBe(1)
    const { body } = await newcomer.internal('/metrics')
    expect(body).toContain('vestibule_degraded_decisions_total{use="bearer",reason="deny-list"} 1')
    await fleet.network.accept()
    const ms = await untilRefused(newcomer, denied)
    print(
      `Redis is back: a replica that started without it knows the deny list after ${ms.toFixed(0)} ms`,
    )
    await untilWhole(fleet.all)
  })

  test('are denied again where Redis has lost them', async () => {
    const token = await known()
    await deny(second, { token })
    const { jti } = claimsOf(token)
    const isListed = async () => {
      const name = digestOfParts(fleet.provider.issuer, String(jti))
      return (await fleet.redis.cli('ZRANGE', KEY, '0', '-1')).split('\n').includes(name)
    }
    expect(await isListed()).toBe(true)
    await fleet.redis.cli('FLUSHALL')
    // Entries come back one by one.
    await until('a list that is back', isListed)
    const newcomer = await fleet.add()
    expect(await isLetIn(newcomer, token)).toBe(false)
  })

  test('are denied also while Redis is full', async () => {
    const token = await known()
    await fleet.redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    try {
      await deny(second, { token })
      for (const replica of fleet.all) await untilRefused(replica, token)
    } finally {
      await fleet.redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    }
  })
})
