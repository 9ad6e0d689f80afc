import { beforeAll, expect, test } from 'vitest'
import { untilWhole } from '../../support/fleet-load.ts'
import { keepInMemory, signInAt, untilRefused } from '../../support/hybrid-replicas.ts'
import { makeSessions } from '../../support/made-sessions.ts'
import { ADMIN_TOKEN, askAdmin, runCommand } from '../../support/operator.ts'
import { expectStatus, readMetric, statusAt } from '../../support/outage.ts'
import { BUSY_MS, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** Keeps entries so long that nobody is refused because an entry in memory is old. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30', ADMIN_TOKEN }
const PEOPLE = { users: ['alice', 'bob', 'carol'].map((sub) => ({ sub })) }
const MANY = 3000
/** Thousands of sessions are ended one after the other, and it is not said in which order. */
const MANY_WITHIN_MS = 100_000

interface Listed {
  readonly sessions: readonly { readonly id: string; readonly subject: string }[]
  readonly truncated: boolean
}
async function list(replica: VestibuleProcess, query = ''): Promise<Listed> {
  return (await askAdmin(replica, 'GET', `sessions${query}`)).body as Listed
}
describeWithRedis('sessions that an operator ends', () => {
  const fleet = prepared(() => startReplicas({ count: 3, settings: SETTINGS, provider: PEOPLE }))
  let first: VestibuleProcess
  let second: VestibuleProcess
  beforeAll(async () => {
    await untilWhole(fleet().all)
    ;[first, second] = fleet().all as [VestibuleProcess, VestibuleProcess]
  })

  const signIn = async (sub: string) => {
    const { cookie } = await signInAt(first, sub)
    for (const replica of fleet().all) await keepInMemory(replica, cookie)
    return storedSession(cookie)
  }
  /** How long each replica goes on letting somebody in, from the moment on at which the operator asks. */
  const endAndWatch = async (
    cookies: readonly string[],
    path: string,
    ended: number,
    withinMs?: number,
  ) => {
    const watched = fleet().all.flatMap((replica) =>
      cookies.map((cookie) => untilRefused(replica, cookie, withinMs)),
    )
    const answer = askAdmin(second, 'DELETE', path)
    expect(await answer).toMatchObject({ status: 200, body: { ended } })
    return Promise.all(watched)
  }
  const untilNobody = async () => {
    await askAdmin(first, 'DELETE', 'sessions?all=true')
    expect((await list(first)).sessions).toEqual([])
  }

  test('are listed at every replica, by user and in all', async () => {
    await untilNobody()
    const [alice, again, bob] = [await signIn('alice'), await signIn('alice'), await signIn('bob')]
    for (const replica of fleet().all) {
      const { text } = await askAdmin(replica, 'GET', 'sessions')
      for (const { cookie } of [alice, again, bob]) {
        const parts = cookie.split(/[.=; ]+/).filter((part) => part.length > 30)
        expect(parts.length).toBeGreaterThan(1)
        for (const part of parts) expect(text).not.toContain(part)
      }
      const idsOf = async (query: string) =>
        (await list(replica, query)).sessions.map(({ id }) => id).toSorted()
      expect(await idsOf('?user=alice')).toEqual([alice.digest, again.digest].toSorted())
      expect(await idsOf('?user=carol')).toEqual([])
      expect(await idsOf('')).toEqual([alice.digest, again.digest, bob.digest].toSorted())
    }
  })

  test('one by its id: refused at every replica, and the others go on', async () => {
    const staying = await signIn('alice')
    const delays: number[] = []
    for (let round = 0; round < 10; round++) {
      const { cookie, digest } = await signIn('alice')
      delays.push(...(await endAndWatch([cookie], `sessions/${digest}`, 1)))
      expect((await askAdmin(first, 'DELETE', `sessions/${digest}`)).status).toBe(404)
    }
    expect(Math.max(...delays)).toBeLessThan(BUSY_MS)
    await expectStatus(200, fleet().all, staying.cookie)
  })

  test('all of a user: refused at every replica, and other users go on', async () => {
    await untilNobody()
    const staying = await signIn('bob')
    const cookies: string[] = []
    for (let count = 0; count < 5; count++) cookies.push((await signIn('alice')).cookie)
    expect(Math.max(...(await endAndWatch(cookies, 'sessions?user=alice', 5)))).toBeLessThan(
      BUSY_MS,
    )
    await expectStatus(200, fleet().all, staying.cookie)
    expect((await askAdmin(second, 'DELETE', 'sessions?user=alice')).body).toEqual({ ended: 0 })
    expect(second.log().findLast((line) => line['event'] === 'sessions_ended')).toMatchObject({
      client: '127.0.0.1',
      count: 0,
      tokens_revoked: false,
    })
    const sample = 'vestibule_sessions_ended_by_operators_total'
    expect(await readMetric(second, sample)).toBeGreaterThan(4)
  })

  test('a sign-in that is being finished meanwhile opens none', async () => {
    await untilNobody()
    const { browser, callbackUrl } = await fleet().untilCallback('alice')
    const answers: unknown[] = []
    fleet().provider.set('token', {
      rewrite: async (body) => {
        answers.push((await askAdmin(second, 'DELETE', 'sessions?user=alice')).body)
        return body
      },
    })
    const landed = await browser.get(callbackUrl)
    fleet().provider.reset('token')
    expect(answers).toEqual([{ ended: 0 }])
    expect(landed.status).toBe(400)
    expect((await list(first, '?user=alice')).sessions).toEqual([])
    const { cookie } = await signInAt(first, 'alice')
    await expectStatus(200, first, cookie)
  })

  test(`all of everybody, ${MANY} of them`, async () => {
    await untilNobody()
    const cookies = [(await signIn('alice')).cookie, (await signIn('bob')).cookie]
    const made = await makeSessions(fleet().redis, MANY)
    expect(await list(second)).toMatchObject({ truncated: true })
    const all = MANY + cookies.length
    await endAndWatch(cookies, 'sessions?all=true', all, MANY_WITHIN_MS)
    for (const { cookie } of [made[0], made.at(-1), made[MANY / 2]] as typeof made) {
      await expectStatus(302, fleet().all, cookie)
    }
    expect(await list(first)).toEqual({ sessions: [], truncated: false })
  })

  test('while Redis is away nothing is said to have ended, by the command neither, and it ends when Redis is back, where it need not be done again', async () => {
    await untilNobody()
    const { cookie, digest } = await signIn('alice')
    const env = { ADMIN_TOKEN, INTERNAL_PORT: `${second.internalPort}` }
    expect(await runCommand(['sessions', 'list', '--user', 'alice'], env)).toEqual({
      code: 0,
      output: expect.stringContaining(digest) as string,
    })
    await fleet().network.refuse()
    for (const path of [`sessions/${digest}`, 'sessions?user=alice', 'sessions?all=true']) {
      const { status, headers, body } = await askAdmin(second, 'DELETE', path)
      expect([status, headers.get('retry-after')]).toEqual([503, '5'])
      expect(body).toMatchObject({
        message: 'some sessions may not have ended: repeat the request',
      })
    }
    expect((await askAdmin(second, 'GET', 'sessions')).status).toBe(503)
    expect(await runCommand(['sessions', 'end', '--user', 'alice'], env)).toEqual({
      code: 1,
      output: 'vestibule: Redis is away: some sessions may not have ended: repeat the request\n',
    })
    await fleet().network.accept()
    await untilWhole(fleet().all)
    for (const replica of fleet().all) {
      await until('the end', async () => (await statusAt(replica, cookie)) === 302)
    }
    const { body } = await askAdmin(second, 'DELETE', 'sessions?user=alice')
    expect(body).toMatchObject({ ended: 0 })
  })
})
