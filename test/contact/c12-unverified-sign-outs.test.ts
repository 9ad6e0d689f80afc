import { expect, test } from 'vitest'
import { createAddressLimit } from '../../src/http/address-limit.ts'
import { countEvents, readMetric, untilMetric, WITHOUT_GRACE } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { describeWithRedis, startReplicas } from '../support/replicas.ts'
import { createRequestPool } from '../support/request-pool.ts'
import { LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'

const REQUESTS = 125
const COOKIES_EACH = 8
const A_MINUTE = 20
const START_WITHIN_MS = 60_000

function madeUp(request: number): string {
  return Array.from({ length: COOKIES_EACH }, (_, at) => {
    const id = `${request * COOKIES_EACH + at}`.padStart(43, 'i')
    return `${SESSION_COOKIE}=v1.${id}.${'s'.repeat(43)}`
  }).join('; ')
}

test('C12: the limit counts each address by itself, and remembers a bounded number of them', () => {
  const isRare = createAddressLimit({ max: 2, periodMs: 60_000 })
  expect([isRare('a'), isRare('a'), isRare('a'), isRare('b')]).toEqual([true, true, false, true])
  for (let at = 0; at < 10_000; at += 1) isRare(`other ${at}`)
  expect(isRare('a')).toBe(true)
})

describeWithRedis('C12: made-up sign-outs while Redis is away', () => {
  const fleet = prepared(() => startReplicas({ settings: WITHOUT_GRACE }), START_WITHIN_MS)

  test('C12: sign-outs of one network are bounded, logged as unverified, and keep nobody else from signing out', async () => {
    const { first, network } = fleet()
    const people = await Promise.all([1, 2, 3].map(() => fleet().signedIn('alice')))
    const staying = await fleet().signedIn('bob')
    await network.refuse()
    await untilMetric(first, 'vestibule_redis_connected', 0)

    using pool = createRequestPool(first.publicPort, 8)
    const statuses: number[] = []
    await pool.sendMany(
      REQUESTS,
      (at) => ({
        method: 'POST',
        path: '/oauth2/logout',
        headers: {
          Host: 'app.example.com',
          'Sec-Fetch-Site': 'same-origin',
          'Content-Length': '0',
          'X-Forwarded-For': `[2001:db8:0:66::${at}]:${1024 + at}`,
          Cookie: madeUp(at),
        },
      }),
      ({ status }) => statuses.push(status),
    )
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(REQUESTS - A_MINUTE)
    expect(await readMetric(first, 'vestibule_revocations_waiting')).toBe(A_MINUTE)
    // Each is audited, also beside one of the same request that is refused; of those beyond ten only the number.
    await until('all lines', async () => countEvents(first, 'sign_out') >= A_MINUTE)
    expect(countEvents(first, 'sign_out')).toBe(A_MINUTE)
    for (const line of first.log().filter(({ event }) => event === 'sign_out')) {
      expect(line).toMatchObject({
        verified: false,
        message: expect.stringMatching('unverified') as string,
      })
      expect(line['client']).toMatch(/^2001:db8:0:66::/)
    }

    for (const [at, { browser }] of people.entries()) {
      const headers = { 'X-Forwarded-For': `198.51.100.${at}` }
      expect((await browser.post(LOGOUT, {}, { headers })).status).toBe(303)
    }
    expect(await readMetric(first, 'vestibule_sign_outs_total')).toBe(0)
    await network.accept()
    await untilMetric(first, 'vestibule_revocations_waiting', 0)
    for (const { cookie } of people) {
      expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
    }
    expect((await first.check({}, { Cookie: staying.cookie })).status).toBe(200)
  })
})
