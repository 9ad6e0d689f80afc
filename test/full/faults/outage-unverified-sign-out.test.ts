import { beforeAll, expect, test } from 'vitest'
import { untilWhole } from '../../support/fleet-load.ts'
import * as outage from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import { createRequestPool } from '../../support/request-pool.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const MAX_UNVERIFIED = 1000

/** A session that nobody has. */
function madeUp(count: number): string {
  const [id, secret] = [`${count}`.padStart(43, 'i'), 's'.repeat(43)]
  return `${SESSION_COOKIE}=v1.${id}.${secret}`
}

describeWithRedis('a sign-out while Redis is away, of a session that nothing stands in for', () => {
  const fleet = prepared(() => startReplicas({ settings: outage.WITHOUT_GRACE }))
  let other: RunningVestibule
  beforeAll(async () => {
    other = await fleet().add()
    await untilWhole([fleet().first, other])
  })

  test('an unverified sign-out counts at this replica at once, and everywhere when Redis is back', async () => {
    const { first, network } = fleet()
    const { browser, cookie } = await fleet().signedIn()
    const { browser: bob, cookie: staying } = await fleet().signedIn('bob')
    await network.refuse()
    await outage.expectSignOutDeferred(first, browser)
    const line = first.log().findLast(({ event }) => event === 'sign_out')
    expect(line).not.toHaveProperty('user')
    const [, id] = (bob.cookies.find(SESSION_COOKIE)?.value ?? '').split('.')
    const forged = `${SESSION_COOKIE}=v1.${id}.${'A'.repeat(43)}`
    const headers = { Cookie: forged }
    expect((await first.visitor().post(`${APP}/oauth2/logout`, {}, { headers })).status).toBe(303)

    await network.accept()
    await untilWhole([first, other])
    await outage.expectEndedEverywhere([first, other], [cookie])
    await outage.expectStatus(200, [first, other], staying)
  })

  test('unverified sign-outs beyond a thousand are refused, and one that is repeated later counts', async () => {
    const { first, network } = fleet()
    const { browser, cookie } = await fleet().signedIn()
    await network.refuse()
    const pool = createRequestPool(first.publicPort, 16)
    const ask = async (count: number) => {
      const headers = { Host: 'app.example.com', 'Sec-Fetch-Site': 'same-origin' }
      const address = `198.51.${count % 100}.1`
      const asked = {
        ...headers,
        Cookie: madeUp(count),
        'Content-Length': '0',
        'X-Forwarded-For': address,
      }
      return (await pool.send({ method: 'POST', path: '/oauth2/logout', headers: asked })).status
    }
    const statuses = await Promise.all(Array.from({ length: MAX_UNVERIFIED }, (_, at) => ask(at)))
    expect(new Set(statuses)).toEqual(new Set([303]))
    expect([await ask(MAX_UNVERIFIED), await ask(0)]).toEqual([503, 303])
    expect(await outage.readMetric(first, 'vestibule_revocations_waiting')).toBe(MAX_UNVERIFIED)
    outage.expectComeAgain(await outage.signOut(browser), 'quiet page')
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()

    const tombstones = async () =>
      (await fleet().redis.cli('KEYS', '*:x')).split('\n').filter(Boolean).toSorted()
    const before = await tombstones()
    await network.accept()
    await untilWhole([first, other])
    await outage.expectEndedEverywhere([first, other], [])
    expect(await tombstones()).toEqual(before)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect((await outage.signOut(browser)).status).toBe(303)
    pool[Symbol.dispose]()
    await outage.expectEndedEverywhere([first, other], [cookie])
  })
})
