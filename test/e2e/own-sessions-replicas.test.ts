import { afterEach, describe, expect, test } from 'vitest'
import { openEvents, publicOrigin } from '../support/event-client.ts'
import { move, signInAt } from '../support/hybrid-replicas.ts'
import { expectComeAgain, expectStatus, script } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { takeAssertion } from '../support/prepared-replicas.ts'
import { elapseInRedis } from '../support/redis-time.ts'
import { APP } from '../support/relying-party.ts'
import { describeWithRedis, PATIENT, startReplicasInProcess } from '../support/replicas.ts'
import type { RunningVestibule } from '../support/vestibule.ts'
import type { Visitor } from '../support/visitor.ts'

const SESSIONS = `${APP}/oauth2/sessions`
const ME = `${APP}/oauth2/me`
const IDLE_SECONDS = 600

interface Listed {
  readonly id: string
  readonly current: boolean
  readonly created_at: string
  readonly last_seen_at: string
}

async function read<Body>(browser: Visitor, url: string): Promise<Body> {
  const { status, body } = await browser.fetch(url, { headers: script })
  expect([status, body]).toEqual([200, expect.any(String)])
  return JSON.parse(body) as Body
}

const list = async (browser: Visitor) =>
  (await read<{ sessions: readonly Listed[] }>(browser, SESSIONS)).sessions

const expiresIn = async (browser: Visitor, query = '') =>
  (await read<{ expires_in: number }>(browser, `${ME}${query}`)).expires_in

/** Returns how long ago a session was used. */
const unusedSeconds = ({ last_seen_at: seen }: Listed) => (Date.now() - Date.parse(seen)) / 1000

describeWithRedis('one’s own sessions at two replicas', () => {
  describe.for(['redis', 'hybrid'])('in mode %s', (mode) => {
    const fleet = prepared(() =>
      startReplicasInProcess({
        count: 2,
        settings: {
          ...PATIENT,
          REDIS_CACHE_MODE: mode,
          SESSION_IDLE_TIMEOUT: String(IDLE_SECONDS),
        },
        provider: { users: ['alice', 'bob', 'carol', 'dora'].map((sub) => ({ sub })) },
      }),
    )
    afterEach(() => fleet().network.accept())
    const two = () => fleet().all as readonly [RunningVestibule, RunningVestibule]
    const elapse = (seconds: number) =>
      elapseInRedis([fleet().redis.cli], 'vestibule:', seconds * 1000)

    test('all others end, also those that began at the other replica a moment ago', async () => {
      const [one, other] = two()
      const here = await signInAt(one, 'alice')
      const elsewhere = await Promise.all([signInAt(other, 'alice'), signInAt(one, 'alice')])
      for (const { cookie } of elsewhere) await expectStatus(200, two(), cookie)
      const answer = await here.browser.post(SESSIONS, { others: 'all' }, { headers: script })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { ended: 2 }])
      const later = await signInAt(other, 'alice')
      for (const { cookie } of elsewhere) {
        await until('both replicas refuse it', async () => {
          const asked = two().map((replica) => replica.check({}, { Cookie: cookie }))
          return (await Promise.all(asked)).every(({ status }) => status === 302)
        })
      }
      await expectStatus(200, two(), here.cookie, later.cookie)
      expect((await list(move(here.browser, other))).map(({ current }) => current)).toEqual([
        true,
        false,
      ])
    })

    test('the latest use is what Redis knows, which is neither a stream nor reading it from another session', async () => {
      const [one, other] = two()
      const { cookie } = await signInAt(other, 'bob')
      const { browser } = await signInAt(one, 'bob')
      await elapse(100)
      using stream = await openEvents({ origin: publicOrigin(other), cookie })
      expect(stream.status).toBe(200)
      for (const round of [1, 2]) {
        const [own, idle] = (await list(browser)) as [Listed, Listed]
        expect(unusedSeconds(own), `round ${round}`).toBeLessThan(100)
        expect(unusedSeconds(idle), `round ${round}`).toBeGreaterThanOrEqual(99)
      }
    })

    test('/me tells the nearer end; slide=false and HEAD are no use, anything else is', async () => {
      const [one] = two()
      const { browser } = await signInAt(one, 'carol')
      expect(await expiresIn(browser, '?slide=false')).toBeLessThanOrEqual(IDLE_SECONDS)
      await elapse(100)
      expect((await browser.request('HEAD', SESSIONS)).status).toBe(200)
      for (const query of ['?slide=false', '?slide=false&other=1', '?slide=false'])
        expect(await expiresIn(browser, query)).toBeLessThanOrEqual(IDLE_SECONDS - 100)
      const left = await expiresIn(browser, '?slide=true')
      expect(left).toBeGreaterThan(IDLE_SECONDS - 100)
      expect(left).toBeLessThanOrEqual(IDLE_SECONDS)
    })

    test('while Redis is away nothing is taken for no session, and nobody is told that one has ended', async () => {
      const [one, other] = two()
      const { browser, cookie } = await signInAt(one, 'dora')
      const elsewhere = await signInAt(other, 'dora')
      const assertion = await takeAssertion(one, cookie)
      const [, { id }] = (await list(browser)) as [Listed, Listed]
      await fleet().network.refuse()
      expectComeAgain(await browser.get(SESSIONS))
      expectComeAgain(await browser.fetch(SESSIONS, { headers: script }), 'json')
      for (const form of [{ id }, { others: 'all' }]) {
        for (const asking of [browser, move(browser, other)]) {
          const page = await asking.post(SESSIONS, form)
          expectComeAgain(page, 'quiet page')
          expect(page.body).toContain('some sessions may not have ended')
        }
        const answer = await browser.post(SESSIONS, form, { headers: script })
        expect([answer.status, answer.setCookies]).toEqual([503, []])
      }
      const headers = { ...script, Cookie: `${cookie}; ${assertion}` }
      const me = await one.visitor().fetch(ME, { headers })
      expect([me.status, JSON.parse(me.body)]).toMatchObject([
        200,
        { sub: 'dora', expires_in: IDLE_SECONDS },
      ])
      // A stream is for whom a replica knows, and by a cookie alone the other one knows nobody.
      for (const [known, status] of [
        [headers.Cookie, 200],
        [cookie, 503],
      ] as const) {
        using stream = await openEvents({ origin: publicOrigin(other), cookie: known })
        expect([stream.status, stream.headers['retry-after'] !== undefined]).toEqual([
          status,
          status === 503,
        ])
      }
      await fleet().network.accept()
      await until('Redis is back', async () => (await browser.get(SESSIONS)).status === 200)
      expect(await list(browser)).toHaveLength(2)
      await until('the other replica is back', async () => {
        const { status } = await other.check({}, { Cookie: elsewhere.cookie })
        expect([200, 503]).toContain(status)
        return status === 200
      })
    })
  })
})
