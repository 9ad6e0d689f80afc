import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../support/describe-with-redis.ts'
import {
  expectComeAgain,
  expectEndedEverywhere,
  expectHealthy,
  expectOthersServed,
  expectSignOutDeferred,
  redisErrors,
} from '../support/outage.ts'
import { until } from '../support/redis-state.ts'
import { APP } from '../support/relying-party.ts'
import { type Replicas, startReplicas } from '../support/replicas.ts'

/** Where its snapshot belongs there is a folder, until the function that is returned takes it away. */
const breakSnapshots = async ({ redis }: Replicas): Promise<() => Promise<void>> => {
  const [, folder = ''] = (await redis.cli('CONFIG', 'GET', 'dir')).split('\n')
  const snapshot = join(folder, 'dump.rdb')
  const saveUntil = async (status: 'ok' | 'err') => {
    await until(`a snapshot that is ${status}`, async () => {
      const info = await redis.cli('INFO', 'persistence')
      if (info.includes(`rdb_last_bgsave_status:${status}`)) return true
      if (info.includes('rdb_bgsave_in_progress:0')) await redis.cli('BGSAVE')
      return false
    })
  }
  await redis.cli('CONFIG', 'SET', 'save', '3600 1')
  await mkdir(snapshot)
  await saveUntil('err')
  return async () => {
    await rm(snapshot, { recursive: true })
    await saveUntil('ok')
  }
}

describeWithRedis('F08 Redis cannot save', () => {
  let replicas: Replicas
  beforeAll(async () => {
    // With an idle limit a check has its one write, which is refused here and is nobody's concern.
    replicas = await startReplicas({ count: 2, settings: { SESSION_IDLE_TIMEOUT: '600' } })
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  test('checks pass, sign-ins wait, and sign-outs count here at once and everywhere once it can save', async () => {
    const { first, all, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    const fresh = await replicas.signedIn()
    const repair = await breakSnapshots(replicas)
    provider.forgetRequests()
    for (let round = 0; round < 20; round += 1) {
      expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
      expect((await first.check({}, { Cookie: fresh.cookie })).status).toBe(200)
    }
    expect((await browser.get(`${APP}/oauth2/me`)).status).toBe(200)
    await expectHealthy(first)

    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    await expectSignOutDeferred(first, browser)
    expect(await redisErrors(first, 'misconf')).toBeGreaterThan(0)
    await expectOthersServed(first)

    await repair()
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
    await expectEndedEverywhere('F08 sign-out', all, [cookie])
    expect((await first.check({}, { Cookie: fresh.cookie })).status).toBe(200)
    expect(first.isAlive()).toBe(true)
  })
})
