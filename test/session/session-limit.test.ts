import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import {
  DAY_MS,
  newSession,
  outage,
  REALM,
  type StartedSessionsOptions,
  sessionDigest,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const alice = sessionOf('alice', 'sid')
const { user } = alice.metadata.owners

/** Sessions of which a user may have three. */
const start = (changes: StartedSessionsOptions = {}) => {
  const started = startSessions({ perUser: 3, ...changes })
  const openMany = async (count: number, of: Partial<typeof newSession> = alice) => {
    const sessionCache: SessionCredential[] = []
    for (let at = 0; at < count; at += 1) {
      started.elapse(1000)
      sessionCache.push(await started.open(of))
    }
    return sessionCache
  }
  const alive = async (credentials: readonly SessionCredential[], realm = REALM) => {
    const found = credentials.map((each) => started.sessions.find(each, realm))
    return (await Promise.all(found)).map((each) => each !== undefined)
  }
  return { ...started, openMany, alive }
}

describe('C14: a user has at most so many sessions', () => {
  test('C14: the oldest goes, and nobody else’s', async () => {
    const { openMany, alive, replaced, index } = start()
    const bobs = await openMany(3, sessionOf('bob', 'sid'))
    const hers = await openMany(5)
    expect(await alive(hers)).toEqual([false, false, true, true, true])
    expect(await alive(bobs)).toEqual([true, true, true])
    expect(replaced).toEqual([1, 1])
    expect(await index.list('user', user)).toEqual(hers.slice(2).map(sessionDigest))
  })

  test('C14: those of all hosts count together', async () => {
    const { openMany, alive } = start()
    const elsewhere = await openMany(2, { ...alice, realm: 'other.example.com' })
    const here = await openMany(2)
    expect(await alive(elsewhere, 'other.example.com')).toEqual([false, true])
    expect(await alive(here)).toEqual([true, true])
  })

  test('C14: what counts is when they began, not when they end', async () => {
    const { openMany, alive, index } = start()
    const hers = await openMany(3)
    await index.add(sessionDigest(hers[0] as SessionCredential), { user }, 30 * DAY_MS)
    const last = await openMany(1)
    expect(await alive([...hers, ...last])).toEqual([false, true, true, true])
  })

  test.for<[string, number, number]>([
    ['replicas whose clocks differ', 1, 2],
    ['a clock of the store that went back', 1000, 2],
  ])('C14: the newest stays, also with %s', async ([, first, second], { expect }) => {
    const { generations } = start()
    const { elapse, open, alive } = start({
      perUser: 1,
      generations: { ...generations, isAhead: (generation) => generation > 999 },
    })
    const openIn = (generation: number) =>
      open({ ...alice, tokens: { ...newSession.tokens, generation } })
    const earlier = await openIn(first)
    elapse(-60_000)
    const later = await openIn(second)
    expect(await alive([earlier, later])).toEqual([false, true])
  })

  test('C14: at one moment it is the same one everywhere', async () => {
    const { open, sessions } = start({ perUser: 1 })
    const hers = [await open(alice), await open(alice)]
    const found = await Promise.all(hers.map((each) => sessions.find(each, REALM)))
    const [first, second] = hers.map(sessionDigest) as [string, string]
    expect(found.map((each) => each !== undefined)).toEqual([first > second, second > first])
  })

  test('C14: entries that lead nowhere do not count, and go', async () => {
    const { openMany, alive, elapse, index, replaced } = start()
    for (let at = 0; at < 150; at += 1) await index.add(`lost-${at}`, { user }, DAY_MS)
    elapse(60_000)
    const hers = await openMany(3)
    expect(await alive(hers)).toEqual([true, true, true])
    expect(await index.list('user', user)).toEqual(hers.map(sessionDigest))
    expect(replaced).toEqual([])
  })

  test('C14: an entry that leads to somebody else’s session ends nothing', async () => {
    const { openMany, alive, index } = start()
    const bobs = await openMany(3, sessionOf('bob'))
    for (const each of bobs) await index.add(sessionDigest(each), { user }, DAY_MS)
    const hers = await openMany(3)
    expect(await alive([...bobs, ...hers])).toEqual(Array(6).fill(true))
  })

  test('C14: the entry of a session that is about to be written stays', async () => {
    const { openMany, index } = start()
    await index.add('about-to-be', { user }, DAY_MS)
    const hers = await openMany(4)
    expect(await index.list('user', user)).toEqual([
      'about-to-be',
      ...hers.slice(1).map(sessionDigest),
    ])
  })

  test('C14: a store that goes away in between spoils no sign-in', async () => {
    let isAway = false
    const { openMany, alive } = start({
      wrap: (store) => ({ ...store, end: (...args) => (isAway ? outage() : store.end(...args)) }),
    })
    const hers = await openMany(3)
    isAway = true
    hers.push(...(await openMany(1)))
    expect(await alive(hers)).toEqual([true, true, true, true])
    isAway = false
    hers.push(...(await openMany(1)))
    expect(await alive(hers)).toEqual([false, false, true, true, true])
  })

  test('C14: and a fault of ours is not taken for that', async () => {
    const { openMany } = start({
      wrap: (store) => ({ ...store, end: () => Promise.reject(new TypeError('a fault')) }),
    })
    await openMany(3)
    await expect(openMany(1)).rejects.toThrow('a fault')
  })
})
