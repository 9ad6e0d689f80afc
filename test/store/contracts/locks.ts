import { expect, test } from 'vitest'
import { type Locks, noteOf } from '../../../src/store/locks.ts'
import { describeContract, FRACTION_MS, LONG_MS, newDigest, newId, SHORT_MS } from './contract.ts'

export const describeLocks = describeContract<Locks>('locks', (given) => {
  const acquire = async (digest: string, owner = newId(), ttlMs = LONG_MS) =>
    (await given.port.acquire(digest, { owner, note: 'note', ttlMs })).isOurs
  const hold = (digest: string, owner = newId(), ttlMs = LONG_MS) =>
    given.port.hold(digest, { owner, note: 'note', ttlMs })
  async function valueAt(digest: string): Promise<string> {
    const acquired = await given.port.acquire(digest, {
      owner: newId(),
      note: 'note',
      ttlMs: LONG_MS,
    })
    return acquired.isOurs ? '' : acquired.value
  }

  test('a lock belongs to its first owner, who may take it again', async () => {
    const [digest, first] = [newDigest(), newId()]
    expect([await acquire(digest, first), await acquire(digest)]).toEqual([true, false])
    expect([await acquire(digest, first), await acquire(digest)]).toEqual([true, false])
  })

  test('exactly one of many concurrent owners gets the lock', async () => {
    for (let round = 0; round < 10; round += 1) {
      const digest = newDigest()
      const owners = Array.from({ length: 25 }, newId)
      const acquired = await Promise.all(owners.map((owner) => acquire(digest, owner)))
      expect(acquired.filter(Boolean)).toHaveLength(1)
      expect(await acquire(digest, owners[acquired.indexOf(true)])).toBe(true)
    }
  })

  test('each session has a lock of its own', async () => {
    const [one, other, owner] = [newDigest(), newDigest(), newId()]
    expect([await acquire(one, owner), await acquire(other)]).toEqual([true, true])
    await given.port.release(other, owner)
    expect(await acquire(other, owner)).toBe(false)
  })

  test('a lock expires, which only its owner puts off', async () => {
    const [refused, extended, owner] = [newDigest(), newDigest(), newId()]
    await acquire(refused, newId(), SHORT_MS)
    await acquire(extended, owner, SHORT_MS)
    expect([await acquire(refused), await hold(refused)]).toEqual([false, false])
    expect([await hold(extended), await hold(extended, owner)]).toEqual([false, true])
    await given.elapse()
    expect([await acquire(refused), await acquire(extended)]).toEqual([true, false])
  })

  test('a lock is released by its owner and by no other', async () => {
    const [digest, owner, next] = [newDigest(), newId(), newId()]
    await acquire(digest, owner)
    await given.port.release(digest, next)
    expect(await acquire(digest, next)).toBe(false)
    await given.port.release(digest, owner)
    expect([await acquire(digest, next), await acquire(digest, owner)]).toEqual([true, false])
  })

  test('an absent lock is not extended, and its release is no error', async () => {
    const [digest, owner] = [newDigest(), newId()]
    expect(await hold(digest, owner)).toBe(false)
    await given.port.release(digest, owner)
    expect(await acquire(digest)).toBe(true)
  })

  test('a late owner cannot extend or release the lock of the next', async () => {
    const [digest, late, next] = [newDigest(), newId(), newId()]
    await acquire(digest, late, SHORT_MS)
    await given.elapse()
    expect(await hold(digest, late)).toBe(false)
    await acquire(digest, next)
    expect(await hold(digest, late, SHORT_MS)).toBe(false)
    await given.port.release(digest, late)
    expect([await acquire(digest, late), await acquire(digest, next)]).toEqual([false, true])
  })

  test('a refused owner reads the latest note of the owner', async () => {
    const [digest, owner] = [newDigest(), newId()]
    await given.port.acquire(digest, { owner, note: 'taken', ttlMs: LONG_MS })
    expect(await valueAt(digest)).toBe(`${owner} taken`)
    await given.port.hold(digest, { owner, note: 'asking 1', ttlMs: LONG_MS })
    expect(await valueAt(digest)).toBe(`${owner} asking 1`)
    expect(noteOf(await valueAt(digest))).toBe('asking 1')
  })

  test('a lock is taken over only by its latest value', async () => {
    const [digest, owner, next, other] = [newDigest(), newId(), newId(), newId()]
    const takeOver = (by: string, value: string) =>
      given.port.takeOver(digest, { owner: by, note: 'taken', ttlMs: LONG_MS }, value)
    await acquire(digest, owner)
    const seen = await valueAt(digest)
    await given.port.hold(digest, { owner, note: 'another', ttlMs: LONG_MS })
    expect(await takeOver(next, seen)).toBe(false)
    const latest = await valueAt(digest)
    expect([await takeOver(next, latest), await takeOver(other, latest)]).toEqual([true, false])
    expect([await hold(digest, owner), await valueAt(digest)]).toEqual([false, `${next} taken`])
    await given.port.release(digest, next)
    expect(await takeOver(other, latest)).toBe(false)
  })

  test('a lost lock is revived by its owner, and a foreign one by nobody', async () => {
    const [digest, owner] = [newDigest(), newId()]
    const revive = (by: string) =>
      given.port.hold(digest, { owner: by, note: 'note', ttlMs: LONG_MS }, true)
    expect([await revive(owner), await revive(newId())]).toEqual([true, false])
    expect(await valueAt(digest)).toBe(`${owner} note`)
  })

  test('the note of a value from another version is empty', () => {
    expect([noteOf('owner'), noteOf('owner ')]).toEqual(['', ''])
  })

  test('a TTL with a fraction of a millisecond is accepted', async () => {
    const [digest, owner] = [newDigest(), newId()]
    expect(await acquire(digest, owner, FRACTION_MS)).toBe(true)
    expect(await hold(digest, owner, FRACTION_MS)).toBe(true)
  })
})
