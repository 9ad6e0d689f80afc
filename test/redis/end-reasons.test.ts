import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { sessionDigest } from '../../src/session/records.ts'
import { recordKey } from '../../src/store/store.ts'
import { startTcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { AT_ONCE, DEFERRED, logoutToken, PER_USER, type Way } from '../support/endings.ts'
import { type LoneReplica, startLoneReplica } from '../support/lone-replica.ts'
import { until } from '../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'

describe.for(['redis', 'hybrid'])('in %s mode the pages at every replica are told', (mode) => {
  let redis: RunningRedis
  let all: readonly [LoneReplica, LoneReplica, LoneReplica]
  let people = 0
  const isHearing = ({ state }: LoneReplica) => state.backplane.subscription !== undefined
  beforeAll(async () => {
    redis = await startRedis()
    const settings = { REDIS_CACHE_MODE: mode, SESSIONS_PER_USER: `${PER_USER}` }
    const open = async () => startLoneReplica(await startTcpProxy(redis.port), 0, settings)
    all = [await open(), await open(), await open()]
    for (const each of all) await each.untilBack()
    await until('messages of the others', () => all.every(isHearing))
  })
  afterAll(async () => {
    for (const each of all) await each[Symbol.asyncDispose]()
    await redis.stop()
  })
  async function signInSomebody() {
    const who = `person-${++people}`
    // Comes after earlier ends of everybody, because orders are told apart from sign-ins by Redis's clock.
    await redis.cli('DEL', 'vestibule:{generation}:oldest')
    const credential = await all[1].signIn(who, `${who} at work`)
    const begun = await all[1].sessions.currentGeneration()
    await until('a later time', async () => (await all[1].sessions.currentGeneration()) > begun)
    return { who, credential }
  }
  const toldAt = ({ told }: LoneReplica, credential: SessionCredential) =>
    told.ends.flatMap(([digest, reason]) => (digest === sessionDigest(credential) ? [reason] : []))
  const untilTold = (replica: LoneReplica, credential: SessionCredential) =>
    until('what its pages are told', () => toldAt(replica, credential).length > 0)

  test.for(AT_ONCE)('when a session ends by %s: %s', async ([, reason, end]) => {
    const ended = await signInSomebody()
    const { credential } = ended
    await end(all[0], ended)
    expect(toldAt(all[0], credential), 'here without a message').toEqual([reason])
    for (const each of all) {
      await untilTold(each, credential)
      expect(toldAt(each, credential)).toEqual([reason])
      expect(await each.sessions.endReasonOf(credential)).toBe(reason)
    }
  })

  const ofEverybody = ([name]: Way) => name.endsWith('everybody')
  test.for([
    ['one session or all of a user', DEFERRED.filter((way) => !ofEverybody(way))],
    ['everybody', DEFERRED.filter(ofEverybody)],
  ] as const)('at once here and late elsewhere in an outage: ends of %s', async ([, ways]) => {
    const [away, ...others] = all
    const given = []
    for (const way of ways) given.push({ way, ...(await signInSomebody()) })
    await away.cutOff()
    for (const { way, ...ended } of given) {
      const [name, reason, end] = way
      const { reviews } = away.told
      await end(away, ended)
      const isReviewed = away.told.reviews > reviews
      expect(toldAt(away, ended.credential), name).toEqual(isReviewed ? [] : [reason])
      expect(others.flatMap((each) => toldAt(each, ended.credential))).toEqual([])
    }
    await away.reconnect()
    for (const { way, credential } of given) {
      const [name, reason] = way
      for (const each of others) {
        await untilTold(each, credential)
        expect(toldAt(each, credential), name).toEqual([reason])
        expect(await each.sessions.endReasonOf(credential), name).toBe(reason)
      }
    }
  })

  test('when an end waits that could be announced', async () => {
    const { credential } = await signInSomebody()
    const [here, ...others] = all
    here.sessions.deferEnd(sessionDigest(credential), 'operator')
    for (const each of others) {
      await untilTold(each, credential)
      expect(toldAt(each, credential)[0]).toBe('operator')
    }
    await here.sessions.revocations.flush()
  })

  test('that missed the message find the reason when they hear again', async () => {
    const [here, , away] = all
    const { who, credential } = await signInSomebody()
    const { looks } = away.told
    await away.cutOff()
    await here.endAsAtProvider(logoutToken({ subject: who }))
    await away.reconnect()
    await until('a look', () => away.told.looks > looks)
    expect(toldAt(away, credential)).toEqual([])
    expect(await away.sessions.readLives([sessionDigest(credential)])).toEqual([
      { kind: 'ended', reason: 'provider' },
    ])
    expect(await away.sessions.endReasonOf(credential)).toBe('provider')
  })

  test.for<[string, { reason?: string }]>([
    ['an older version', {}],
    ['a later version', { reason: 'struck-by-lightning' }],
  ])('when a replica of %s ends a session', async ([, about]) => {
    const { credential } = await signInSomebody()
    const session = sessionDigest(credential)
    const message = { v: 1, type: 'session-ended', session, from: 'other', at: 1, ...about }
    await redis.cli('PUBLISH', 'vestibule:0:events', JSON.stringify(message))
    for (const each of all) {
      await untilTold(each, credential)
      expect(toldAt(each, credential)).toEqual(['signed-out-elsewhere'])
    }
  })

  test('the first reason when a session that came back after a failover is ended again', async () => {
    const [here, there] = all
    const { credential } = await signInSomebody()
    const digest = sessionDigest(credential)
    await here.sessions.end(digest, 'operator')
    await untilTold(there, credential)
    await redis.cli('DEL', recordKey('vestibule:', digest, 'tombstone'))
    await there.sessions.revocations.repeat()
    await here.sessions.end(digest, 'signed-out')
    expect(await here.sessions.readLives([digest])).toEqual([{ kind: 'ended', reason: 'operator' }])
  })

  test('that a session was renewed, at the others by the message', async () => {
    const [here, ...others] = all
    const { credential } = await signInSomebody()
    const digest = sessionDigest(credential)
    const { tokens } = await here.state.store.read(digest, ['tokens'])
    const renewed = { identity: Buffer.of(1), tokens: Buffer.of(2) }
    await here.state.store.replace(digest, renewed, tokens as Buffer)
    for (const each of others) await until('a renewal', () => each.told.renewed.includes(digest))
    expect(here.told.renewed).toEqual([])
  })
})
