import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Locks } from '../../src/store/locks.ts'
import { FRACTION_MS, LONG_MS, type Make, newDigest, SHORT_MS, type UnderTest } from './contract.ts'

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

    const acquire = (digest: string, owner: string, ttlMs = LONG_MS) =>
      locks.acquire(digest, owner, ttlMs)

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
      expect(await locks.extend(digest, newOwner(), LONG_MS)).toBe(false)
      expect(await locks.extend(digest, owner, LONG_MS)).toBe(true)
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
      expect(await locks.extend(digest, owner, LONG_MS)).toBe(false)
      await locks.release(digest, owner)
      expect(await acquire(digest, newOwner())).toBe(true)
    })

    test('who had it too long learns that, and takes it from nobody', async () => {
      const [digest, late, next] = [newDigest(), newOwner(), newOwner()]
      await acquire(digest, late, SHORT_MS)
      await made.elapse(SHORT_MS + 50)
      expect(await locks.extend(digest, late, LONG_MS)).toBe(false)
      await acquire(digest, next)
      expect(await locks.extend(digest, late, SHORT_MS)).toBe(false)
      await locks.release(digest, late)
      expect(await acquire(digest, late)).toBe(false)
      expect(await acquire(digest, next)).toBe(true)
    })

    test('a time of a part of a millisecond more is still a time', async () => {
      const [digest, owner] = [newDigest(), newOwner()]
      expect(await acquire(digest, owner, FRACTION_MS)).toBe(true)
      expect(await locks.extend(digest, owner, FRACTION_MS)).toBe(true)
    })
  })
}
