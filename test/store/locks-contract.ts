import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Locks, noteOf } from '../../src/store/locks.ts'
import { LONG_MS, type Make, newDigest, SHORT_MS, type UnderTest } from './contract.ts'

const newOwner = (): string => randomBytes(16).toString('base64url')

/** What all `Locks` do, whatever they are made of. */
export const describeLocks = (name: string, make: Make<Locks>): void => {
  describe(`${name} as locks`, () => {
    let made: UnderTest<Locks>
    let locks: Locks
    beforeAll(async () => {
      made = await make()
      locks = made.subject
    })
    afterAll(() => made.close?.())

    const acquire = async (digest: string, owner: string, ttlMs = LONG_MS) =>
      (await locks.acquire(digest, owner, 'note', ttlMs)).isOurs
    const hold = (digest: string, owner: string, ttlMs = LONG_MS) =>
      locks.hold(digest, owner, 'note', ttlMs)
    const markAt = async (digest: string): Promise<string> => {
      const acquired = await locks.acquire(digest, newOwner(), 'note', LONG_MS)
      return acquired.isOurs ? '' : acquired.mark
    }

    test('who comes first has it, and gets it again; nobody else does', async () => {
      const [digest, first] = [newDigest(), newOwner()]
      expect(await acquire(digest, first)).toBe(true)
      expect(await acquire(digest, newOwner())).toBe(false)
      expect(await acquire(digest, first)).toBe(true)
      expect(await acquire(digest, newOwner())).toBe(false)
    })

    test('of many at once exactly one has it', async () => {
      for (let round = 0; round < 10; round += 1) {
        const digest = newDigest()
        const owners = Array.from({ length: 25 }, newOwner)
        const acquired = await Promise.all(owners.map((owner) => acquire(digest, owner)))
        expect(acquired.filter(Boolean)).toHaveLength(1)
        expect(await acquire(digest, owners[acquired.indexOf(true)] as string)).toBe(true)
      }
    })

    test('each session has a lock of its own', async () => {
      const [one, other] = [newDigest(), newDigest()]
      const owner = newOwner()
      expect(await acquire(one, owner)).toBe(true)
      expect(await acquire(other, newOwner())).toBe(true)
      await locks.release(other, owner)
      expect(await acquire(other, owner)).toBe(false)
    })

    test('it ends by itself, and who is refused does not prolong it', async () => {
      const digest = newDigest()
      await acquire(digest, newOwner(), SHORT_MS)
      expect(await acquire(digest, newOwner())).toBe(false)
      await made.elapse(SHORT_MS + 50)
      expect(await acquire(digest, newOwner())).toBe(true)
    })

    test('its owner may keep it longer, and nobody else', async () => {
      const [digest, owner] = [newDigest(), newOwner()]
      await acquire(digest, owner, SHORT_MS)
      expect(await hold(digest, newOwner())).toBe(false)
      expect(await hold(digest, owner)).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await acquire(digest, newOwner())).toBe(false)
    })

    test('its owner may let go of it, and nobody else', async () => {
      const [digest, owner, next] = [newDigest(), newOwner(), newOwner()]
      await acquire(digest, owner)
      await locks.release(digest, next)
      expect(await acquire(digest, next)).toBe(false)
      await locks.release(digest, owner)
      expect(await acquire(digest, next)).toBe(true)
      expect(await acquire(digest, owner)).toBe(false)
    })

    test('what nobody has cannot be kept, and letting go of it is no error', async () => {
      const [digest, owner] = [newDigest(), newOwner()]
      expect(await hold(digest, owner)).toBe(false)
      await locks.release(digest, owner)
      expect(await acquire(digest, newOwner())).toBe(true)
    })

    test('who had it too long learns that, and takes it from nobody', async () => {
      const [digest, late, next] = [newDigest(), newOwner(), newOwner()]
      await acquire(digest, late, SHORT_MS)
      await made.elapse(SHORT_MS + 50)
      expect(await hold(digest, late)).toBe(false)
      await acquire(digest, next)
      expect(await hold(digest, late, SHORT_MS)).toBe(false)
      await locks.release(digest, late)
      expect(await acquire(digest, late)).toBe(false)
      expect(await acquire(digest, next)).toBe(true)
    })

    test('others read what its holder has written last', async () => {
      const [digest, owner] = [newDigest(), newOwner()]
      await locks.acquire(digest, owner, 'taken', LONG_MS)
      expect(await markAt(digest)).toBe(`${owner} taken`)
      await locks.hold(digest, owner, 'asking 1', LONG_MS)
      expect(await markAt(digest)).toBe(`${owner} asking 1`)
      expect(noteOf(await markAt(digest))).toBe('asking 1')
    })

    test('it is taken over only from who has not been heard of since', async () => {
      const [digest, owner, next, other] = [newDigest(), newOwner(), newOwner(), newOwner()]
      await acquire(digest, owner)
      const seen = await markAt(digest)
      await locks.hold(digest, owner, 'another', LONG_MS)
      const takeOver = (by: string, mark: string) =>
        locks.takeOver(digest, by, 'taken', LONG_MS, mark)
      expect(await takeOver(next, seen)).toBe(false)
      const latest = await markAt(digest)
      expect(await takeOver(next, latest)).toBe(true)
      expect(await takeOver(other, latest)).toBe(false)
      expect(await hold(digest, owner)).toBe(false)
      expect(await markAt(digest)).toBe(`${next} taken`)
      await locks.release(digest, next)
      expect(await takeOver(other, latest)).toBe(false)
    })

    test('one that was lost is taken again by who says that it was theirs, and by nobody from another', async () => {
      const [digest, owner] = [newDigest(), newOwner()]
      expect(await locks.hold(digest, owner, 'note', LONG_MS, true)).toBe(true)
      expect(await locks.hold(digest, newOwner(), 'note', LONG_MS, true)).toBe(false)
      expect(await markAt(digest)).toBe(`${owner} note`)
    })

    test('a mark without a note is of another version', () => {
      expect([noteOf('owner'), noteOf('owner ')]).toEqual(['', ''])
    })

    test('a time of a part of a millisecond more is still a time', async () => {
      const [digest, owner] = [newDigest(), newOwner()]
      expect(await acquire(digest, owner, 1234.56)).toBe(true)
      expect(await hold(digest, owner, 1234.56)).toBe(true)
    })
  })
}
