import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { createCookieJar } from '../support/cookie-jar.ts'
import { countEvents } from '../support/outage.ts'
import { startTestProvider } from '../support/provider.ts'
import { startRedis } from '../support/redis.ts'
import { APP } from '../support/relying-party.ts'
import { describeWithRedis, HYBRID, SERVER_KEY, untilStarted } from '../support/replicas.ts'
import { cookieHeader, returnFromProvider, startLogin } from '../support/sign-in-steps.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'
import { createVisitor } from '../support/visitor.ts'

const MEMORY = {}

/** A Redis, a provider that keeps people signed in, and one browser that reaches whichever replica it is given. */
async function startWorld() {
  const started = new AsyncDisposableStack()
  const redis = started.use(await startRedis())
  const provider = started.use(await startTestProvider({ origins: [APP] }))
  const cookies = createCookieJar()
  const at = ({ publicPort }: RunningVestibule) =>
    createVisitor({
      cookies,
      connectTo: { 'app.example.com': `http://127.0.0.1:${publicPort}` },
    })
  async function finish(begunAt: RunningVestibule, finishedAt: RunningVestibule) {
    const callback = await returnFromProvider(at(begunAt), await startLogin(at(begunAt)))
    return at(finishedAt).get(callback)
  }
  return {
    hybrid: { ...HYBRID, REDIS_ENABLED: 'true', REDIS_ADDRESS: `127.0.0.1:${redis.port}` },
    async start(settings: Readonly<Record<string, string>>) {
      const replica = await startVestibule({
        OIDC_ISSUER_URL: provider.issuer,
        OIDC_CLIENT_ID: provider.clientId,
        OIDC_CLIENT_SECRET: provider.clientSecret,
        SESSION_ENCRYPTION_KEY: SERVER_KEY,
        ...settings,
      })
      started.use(replica)
      await untilStarted(replica)
      return replica
    },
    beginLogin: (replica: RunningVestibule) => startLogin(at(replica)),
    finish,
    signIn: async (begunAt: RunningVestibule, finishedAt = begunAt) =>
      (await finish(begunAt, finishedAt)).status,
    check: async (replica: RunningVestibule) =>
      (await replica.check({}, { Cookie: cookieHeader(at(replica)) })).status,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

const secondReplicaAt = (replica: RunningVestibule) =>
  replica.log().find(({ event }) => event === 'second_replica')

describeWithRedis('C52 a replica in memory mode beside one that shares sessions', () => {
  test('is named by the line of either replica, by the line of the loop, and by its page', async () => {
    await using world = await startWorld()
    const [memory, shared] = [await world.start(MEMORY), await world.start(world.hybrid)]
    const rounds = [
      [shared, memory],
      [memory, shared],
      [shared, memory],
    ] as const
    for (const [begunAt, finishedAt] of rounds) {
      expect(await world.signIn(begunAt, finishedAt)).toBe(302)
      expect(await world.check(begunAt), 'no session of the other').toBe(302)
    }
    expect(secondReplicaAt(memory)).toMatchObject({ mode: 'memory', begun_in: 'shared' })
    expect(secondReplicaAt(shared)).toMatchObject({ mode: 'hybrid', begun_in: 'memory' })
    const { status, body } = await world.beginLogin(shared)
    expect([status, body]).toEqual([400, expect.stringContaining('run in memory mode')])
    const loop = shared.log().find(({ event }) => event === 'sign_in_loop')
    expect(loop?.['reason']).toContain('in memory mode')
  })

  test('is named by page and line where it has no key, and reads nothing that others sealed', async () => {
    await using world = await startWorld()
    const [memory, shared] = [
      await world.start({ SESSION_ENCRYPTION_KEY: '' }),
      await world.start(world.hybrid),
    ]
    for (const [begunAt, finishedAt] of [
      [memory, shared],
      [shared, memory],
    ] as const) {
      const { status, body } = await world.finish(begunAt, finishedAt)
      expect([status, body]).toEqual([400, expect.stringContaining('run in memory mode')])
      const refused = finishedAt.log().findLast(({ event }) => event === 'refused')
      expect(refused).toMatchObject({
        setting: 'SESSION_ENCRYPTION_KEY',
        reason: expect.stringContaining('in memory mode') as string,
      })
    }
  })

  test('is not suspected where all share sessions', async () => {
    await using world = await startWorld()
    const [one, other] = [await world.start(world.hybrid), await world.start(world.hybrid)]
    expect(await world.signIn(one, other)).toBe(302)
    expect([await world.check(one), await world.check(other)]).toEqual([200, 200])
    for (const each of [one, other]) expect(countEvents(each, 'second_replica')).toBe(0)
  })

  test('is replaced as docs/redis.md says: one sign-in more, which stays with every further replica', async () => {
    const docs = await readFile(new URL('../../docs/redis.md', import.meta.url), 'utf8')
    expect(docs).toMatch(/### From memory mode to Redis\n(?:(?!\n##).)*`Recreate`/s)
    await using world = await startWorld()
    const before = await world.start({ SESSION_ENCRYPTION_KEY: '' })
    expect([await world.signIn(before), await world.check(before)]).toEqual([302, 200])
    await before.stop()
    const first = await world.start(world.hybrid)
    expect(await world.check(first), 'asked to sign in').toBe(302)
    expect([await world.signIn(first), await world.check(first)]).toEqual([302, 200])
    const second = await world.start(world.hybrid)
    await first.stop()
    const third = await world.start(world.hybrid)
    expect([await world.check(second), await world.check(third)]).toEqual([200, 200])
    for (const each of [first, second, third]) expect(countEvents(each, 'sign_in_loop')).toBe(0)
  })
})
