import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import * as given from '../support/started-sessions.ts'

const alice = given.sessionOf('alice', 'sid')
const { user } = alice.metadata.owners

function start(changes: given.StartedSessionsOptions = {}) {
  const started = given.startSessions({ perUser: 3, ...changes })
  const openMany = async (count: number, of: Partial<typeof given.newSession> = alice) => {
    const sessionCache: SessionCredential[] = []
    for (let at = 0; at < count; at += 1) {
      started.elapse(1000)
      sessionCache.push(await started.open(of))
    }
    return sessionCache
  }
  return { ...started, openMany }
}

describe('C14: a user has at most so many sessions', () => {
  test('the oldest session ends, and none of another user', async () => {
    const { openMany, areAlive, replaced, index } = start()
    const bobs = await openMany(3, given.sessionOf('bob', 'sid'))
    const hers = await openMany(5)
    expect(await areAlive(hers)).toEqual([false, false, true, true, true])
    expect([await areAlive(bobs), replaced]).toEqual([
      [true, true, true],
      [1, 1],
    ])
    expect(await index.list('user', user)).toEqual(hers.slice(2).map(given.sessionDigest))
  })

  test('sessions of all hosts count together', async () => {
    const { openMany, areAlive } = start()
    const elsewhere = await openMany(2, { ...alice, realm: 'other.example.com' })
    const here = await openMany(2)
    expect(await areAlive(elsewhere, 'other.example.com')).toEqual([false, true])
    expect(await areAlive(here)).toEqual([true, true])
  })

  test('the order is that of their begin, not of their end', async () => {
    const { openMany, areAlive, index } = start()
    const hers = await openMany(3)
    await index.add(given.sessionDigest(hers[0] as SessionCredential), { user }, 30 * given.DAY_MS)
    const last = await openMany(1)
    expect(await areAlive([...hers, ...last])).toEqual([false, true, true, true])
  })

  test.for<[string, number, number]>([
    ['replicas whose clocks differ', 1, 2],
    ['a clock of the store that went back', 1000, 2],
  ])('the newest session stays with %s', async ([, first, second]) => {
    const { generations } = start()
    const { elapse, open, areAlive } = start({
      perUser: 1,
      generations: { ...generations, isAhead: (generation) => generation > 999 },
    })
    const openIn = (at: number) =>
      open({ ...alice, tokens: { ...given.newSession.tokens, generation: at } })
    const earlier = await openIn(first)
    elapse(-60_000)
    const later = await openIn(second)
    expect(await areAlive([earlier, later])).toEqual([false, true])
  })

  test('of sessions of one moment every replica ends the same ones', async () => {
    const { open, areAlive } = start()
    const hers: SessionCredential[] = []
    for (let count = 0; count < 12; count += 1) hers.push(await open(alice))
    const digests = hers.map(given.sessionDigest)
    const last = new Set(digests.toSorted().slice(-3))
    expect(await areAlive(hers)).toEqual(digests.map((digest) => last.has(digest)))
  })

  test('dangling index entries do not count and are removed', async () => {
    const { openMany, areAlive, elapse, index, replaced } = start()
    for (let at = 0; at < 150; at += 1) await index.add(`lost-${at}`, { user }, given.DAY_MS)
    elapse(60_000)
    const hers = await openMany(3)
    expect(await areAlive(hers)).toEqual([true, true, true])
    expect([await index.list('user', user), replaced]).toEqual([hers.map(given.sessionDigest), []])
  })

  test('an index entry of another user’s session, or of one that does not open, ends nothing', async () => {
    const { openMany, areAlive, index, overwrite } = start()
    const bobs = await openMany(3, given.sessionOf('bob'))
    await overwrite(bobs[0] as SessionCredential, { metadata: Buffer.from('noise') })
    for (const each of bobs) await index.add(given.sessionDigest(each), { user }, given.DAY_MS)
    const hers = await openMany(3)
    expect(await areAlive([...bobs, ...hers])).toEqual(Array(6).fill(true))
  })

  test('the entry of a session that is being written stays', async () => {
    const { openMany, index } = start()
    await index.add('about-to-be', { user }, given.DAY_MS)
    const hers = await openMany(4)
    const left = ['about-to-be', ...hers.slice(1).map(given.sessionDigest)]
    expect(await index.list('user', user)).toEqual(left)
  })

  test('an outage at the limit does not fail the sign-in', async () => {
    const { openMany, areAlive, break: fail, mend } = start()
    const hers = await openMany(3)
    fail('end')
    hers.push(...(await openMany(1)))
    expect(await areAlive(hers)).toEqual([true, true, true, true])
    mend()
    hers.push(...(await openMany(1)))
    expect(await areAlive(hers)).toEqual([false, false, true, true, true])
  })

  test('a fault at the limit fails the sign-in', async () => {
    const { openMany, break: fail } = start()
    await openMany(3)
    fail('end', () => {
      throw new TypeError('a fault')
    })
    await expect(openMany(1)).rejects.toThrow('a fault')
  })
})
