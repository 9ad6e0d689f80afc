import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import type { Order } from '../../src/session/end-in-store.ts'
import { createOutageAssertions } from '../../src/session/outage-assertion.ts'
import { userOwner } from '../../src/session/owners.ts'
import { sessionDigest } from '../../src/session/records.ts'
import { startTcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { logoutToken } from '../support/endings.ts'
import { type LoneReplica, startLoneReplica } from '../support/lone-replica.ts'
import { until } from '../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { describeWithRedis, SERVER_KEY } from '../support/replicas.ts'
import { identity, newSession, REALM, sessionOf } from '../support/started-sessions.ts'

const ISSUER = identity.issuer
const GRACE_MS = 300_000
const RING = createKeyRing([Buffer.from(SERVER_KEY, 'hex')])

type Replica = LoneReplica

const operatorsOrder = (sessions: Replica['sessions']): Order => ({
  asked: sessions.moment(),
  reason: 'operator',
})

type Give = (replica: Replica, old: SessionCredential, who: string) => Promise<unknown>
const endAtProviderBySid: Give = ({ endAsAtProvider }, _, who) =>
  endAsAtProvider(logoutToken({ sid: `${who} at work` }))
const endAtProviderBySub: Give = ({ endAsAtProvider }, _, who) =>
  endAsAtProvider(logoutToken({ subject: who }))
const endUser: Give = async ({ sessions }, _, who) =>
  sessions.revocations.deferAllOf(userOwner(ISSUER, who), operatorsOrder(sessions))

/** Orders given at a replica that cannot reach Redis; some also end the old session of the other provider's session. */
const ORDERS: readonly (readonly [string, Give, 'ends others' | 'ends one'])[] = [
  ['a sign-out', async ({ sessions }, old) => sessions.deferEndTogether(old), 'ends one'],
  [
    'a sign-out of a session that nobody could verify',
    async ({ sessions }, old) => sessions.deferUnverifiedEnd(old, REALM, '203.0.113.7'),
    'ends one',
  ],
  ['a back-channel logout by sid', endAtProviderBySid, 'ends one'],
  ['a back-channel logout by sub', endAtProviderBySub, 'ends others'],
  ["an operator's ending of a user", endUser, 'ends others'],
  [
    "an operator's ending of everybody",
    async ({ sessions }) => sessions.revocations.deferAllOf(undefined, operatorsOrder(sessions)),
    'ends others',
  ],
]

describeWithRedis('C73: an ending that is applied late', () => {
  let redis: RunningRedis
  const replicas: Replica[] = []
  let people = 0
  const start = async (skewMs = 0) => {
    const replica = startLoneReplica(await startTcpProxy(redis.port), skewMs)
    replicas.push(replica)
    await replica.untilBack()
    return replica
  }
  beforeAll(async () => {
    redis = await startRedis()
    // Their wall clocks are minutes apart.
    for (const skewMs of [0, 600_000, -600_000]) await start(skewMs)
    await until('messages of the others', () =>
      replicas.every(({ state }) => state.backplane.subscription !== undefined),
    )
  })
  afterAll(async () => {
    for (const replica of replicas) await replica[Symbol.asyncDispose]()
    await redis.stop()
  })
  beforeEach(async () => {
    for (const { network } of replicas) await network.accept()
    for (const each of replicas) await each.untilBack()
    // Removes the end of everybody's sessions, because the tests are about their own people.
    await redis.cli('DEL', 'vestibule:{generation}:oldest')
  })
  const newPerson = () => `person-${++people}`
  const livesAt = async (credential: SessionCredential): Promise<boolean[]> =>
    Promise.all(
      replicas.map(
        async ({ sessions }) =>
          (sessions.recall(credential, REALM) ?? (await sessions.find(credential, REALM))) !==
          undefined,
      ),
    )
  /** Waits until what begins is later than what was asked for at these, however late Redis's answers made that seem. */
  const later = async (asked: readonly Replica[]) => {
    const { sessions } = replicas.at(-1) as Replica
    const givenAt = await sessions.currentGeneration()
    const known = asked.map((each) => each.sessions.moment().generation ?? givenAt + 1000)
    const last = Math.max(...known)
    await until('a later time', async () => (await sessions.currentGeneration()) > last)
  }
  const untilNowhere = (old: SessionCredential) =>
    until('an old session that is nowhere', async () => !(await livesAt(old)).includes(true))
  const everywhere = [true, true, true]
  const nowhere = [false, false, false]
  const hasTombstone = async (credential: SessionCredential) =>
    (await redis.cli('EXISTS', `vestibule:{${sessionDigest(credential)}}:x`)) === '1'

  test.for(ORDERS)('a late ending ends earlier sessions only: %s', async ([, give, scope]) => {
    const [away, other, third] = replicas as [Replica, Replica, Replica]
    const who = newPerson()
    const work = `${who} at work`
    const [old, elsewhere, begun] = [
      await other.signIn(who, work),
      await third.signIn(who, `${who} on the way`),
      // Has begun, and is finished only when the order has been given.
      { generation: await third.sessions.currentGeneration() },
    ]
    expect(await livesAt(old)).toEqual(everywhere)
    await away.cutOff()
    await give(away, old, who)
    await later([away])
    const anew = await other.signIn(who, work)
    const again = await third.signIn(who, work)
    const otherSid = await third.signIn(who, `${who} at home`)
    const late = await third.open(who, work, { ...newSession.tokens, ...begun })
    await away.reconnect()

    await untilNowhere(old)
    expect(await hasTombstone(old)).toBe(true)
    for (const each of [anew, again, otherSid]) expect(await livesAt(each)).toEqual(everywhere)
    expect(await livesAt(late)).toEqual(nowhere)
    expect(await livesAt(elsewhere)).toEqual(scope === 'ends others' ? nowhere : everywhere)
    // A sign-in that began before the end and finishes only now fails as well.
    const tooLate = third.open(who, work, { ...newSession.tokens, ...begun })
    await expect(tooLate).rejects.toMatchObject({ code: 'sign_in_failed' })
    // A refresh asks whether anything was ended since the sign-in began.
    const { generation = 0 } = (await third.sessions.findTokens(anew, REALM)) ?? {}
    const { generations } = third.state
    const owners = sessionOf(who, work).metadata.owners
    expect(
      await generations.oldestOf(owners.user, owners.providerSession ?? ''),
    ).toBeLessThanOrEqual(generation)
  })

  test.for(ORDERS)('an ending that waits twice ends no later session: %s', async ([, give]) => {
    const [first, second, third] = replicas as [Replica, Replica, Replica]
    const who = newPerson()
    const old = await third.signIn(who, `${who} at work`)
    for (const each of [first, second]) await each.cutOff()
    for (const each of [first, second]) await give(each, old, who)
    await later([first, second])
    const anew = await third.signIn(who, `${who} at work`)
    await second.reconnect()
    await first.reconnect()
    await untilNowhere(old)
    expect(await livesAt(anew)).toEqual(everywhere)
  })

  test.for([
    ['a back-channel logout by sid', endAtProviderBySid],
    ["an operator's ending of a user", endUser],
  ] as const)(
    'a replica with a waiting ending allows the new session alone: %s',
    async ([, give]) => {
      const [away, other] = replicas as [Replica, Replica]
      const who = newPerson()
      const old = await other.signIn(who, `${who} at work`)
      expect(await away.sessions.find(old, REALM)).toBeDefined()
      await away.cutOff()
      await give(away, old, who)
      await later([away])
      const anew = await other.signIn(who, `${who} at work`)
      const assertionAt = async (credential: SessionCredential) => {
        const seen = await other.sessions.find(credential, REALM)
        const held = { digest: sessionDigest(credential), credential, realm: REALM }
        const assertions = createOutageAssertions({ ring: RING, graceMs: GRACE_MS, now: Date.now })
        return seen?.source === 'store' ? assertions.issue(seen, held) : undefined
      }
      const [ofOld, ofNew] = [await assertionAt(old), await assertionAt(anew)]
      const look = (credential: SessionCredential, assertion: string | undefined) =>
        away.sessions.find(credential, REALM, { standIn: { assertion: () => assertion } }).then(
          (session) => session !== undefined,
          () => false,
        )
      expect([await look(old, ofOld), await look(anew, ofNew)]).toEqual([false, true])
      await away.reconnect()
      expect([await look(old, ofOld), await look(anew, ofNew)]).toEqual([false, true])
    },
  )

  test('a later order for the same user also ends sessions that began between the two', async () => {
    const [away, other] = replicas as [Replica, Replica]
    const who = newPerson()
    const old = await other.signIn(who)
    await away.cutOff()
    await endAtProviderBySub(away, old, who)
    await later([away])
    const second = await other.signIn(who)
    await endAtProviderBySub(away, second, who)
    await later([away])
    const third = await other.signIn(who)
    await away.reconnect()
    const lives = await Promise.all([old, second, third].map(livesAt))
    expect(lives).toEqual([nowhere, nowhere, everywhere])
  })

  test('an order given without knowledge of Redis’s clock ends earlier sessions and no later one', async () => {
    const network = await startTcpProxy(redis.port)
    await network.refuse()
    await using fresh = startLoneReplica(network, 3_600_000)
    const [, other] = replicas as [Replica, Replica]
    const who = newPerson()
    const old = await other.signIn(who, `${who} at work`)
    expect(fresh.sessions.moment().generation).toBeUndefined()
    await endAtProviderBySid(fresh, old, who)
    await later([fresh])
    const anew = await other.signIn(who, `${who} at work`)
    await network.accept()
    await fresh.reconnect()
    expect([await livesAt(old), await livesAt(anew)]).toEqual([nowhere, everywhere])
  })

  test('in doubt sessions are ended: one without a generation, and all where Redis’s clock was set back', async () => {
    const [away, other] = replicas as [Replica, Replica]
    const [of, by] = [newPerson(), newPerson()]
    const unknown = await other.open(of, `${of} at work`)
    const { state } = other
    const known = await other.signIn(by, `${by} at work`)
    await away.cutOff()
    for (const who of [of, by]) await endAtProviderBySub(away, known, who)
    const anew = await other.signIn(by, `${by} at work`)
    // Sets the generation as if Redis's clock were an hour behind what was counted so far.
    const aheadMs = (await state.generations.current()) + 3_600_000
    const before = await redis.cli('GET', 'vestibule:{generation}')
    await redis.cli('SET', 'vestibule:{generation}', `${aheadMs}`)
    await away.reconnect()
    for (const each of [unknown, known, anew]) expect(await livesAt(each)).toEqual(nowhere)
    expect(await livesAt(await other.signIn(by, `${by} at work`))).toEqual(everywhere)
    await redis.cli('SET', 'vestibule:{generation}', before || '0')
  })
})
