import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'
import type { OneTimeKeys } from '../../src/store/one-time-keys.ts'
import type { Owners, SessionIndex } from '../../src/store/session-index.ts'
import type { RecordPart, Store } from '../../src/store/store.ts'

/** An implementation under test and the way to set its clock forward. */
export interface UnderTest<T> {
  readonly subject: T
  readonly elapse: (ms: number) => Promise<void>
  /** Ends connections and processes. */
  readonly close?: () => Promise<void>
}

export type Make<T> = () => Promise<UnderTest<T>> | UnderTest<T>

/** No test waits for it. Longer than a busy machine keeps a test waiting between two lines. */
export const SHORT_MS = 60_000
/** Outlives whatever time a test lets pass. */
export const LONG_MS = 60 * SHORT_MS
/** Redis takes whole milliseconds. */
export const FRACTION_MS = SHORT_MS + 0.56
const PARTS: readonly RecordPart[] = ['identity', 'tokens', 'metadata']

export const newDigest = (): string => randomBytes(32).toString('base64url')

export const newRecords = (bytes = 64): Record<RecordPart, Buffer> => ({
  identity: randomBytes(bytes),
  tokens: randomBytes(bytes + 1),
  metadata: randomBytes(bytes + 2),
})

/** What every `Store` does, whatever it is made of. */
export const describeStore = (name: string, makeStore: Make<Store>): void => {
  describe(`${name} as a store of sessions`, () => {
    let made: UnderTest<Store>
    let store: Store
    beforeAll(async () => {
      made = await makeStore()
      store = made.subject
    })
    afterAll(() => made.close?.())

    const isThere = async (digest: string): Promise<boolean> => {
      const found = await store.read(digest, PARTS)
      const count = PARTS.filter((part) => found[part] !== undefined).length
      expect([0, PARTS.length], 'a session has all of its records or none').toContain(count)
      return count > 0
    }

    const createOne = async (ttlMs = LONG_MS): Promise<string> => {
      const digest = newDigest()
      await store.create(digest, newRecords(), ttlMs)
      return digest
    }

    test('what was created is read, part by part', async () => {
      const digest = newDigest()
      const records = newRecords()
      await store.create(digest, records, LONG_MS)
      expect(await store.read(digest, PARTS)).toEqual(records)
      for (const part of PARTS) {
        const found = await store.read(digest, [part])
        expect(found[part]?.equals(records[part])).toBe(true)
      }
    })

    test('only the parts asked for are read, in the order asked for', async () => {
      const digest = await createOne()
      expect(Object.keys(await store.read(digest, ['tokens', 'identity']))).toEqual([
        'tokens',
        'identity',
      ])
      expect(Object.keys(await store.read(digest, ['metadata']))).toEqual(['metadata'])
    })

    test.for([
      ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
      ['a single zero', Buffer.of(0)],
      ['line ends', Buffer.from('\r\n$-1\r\n')],
      ['bytes that are no UTF-8', Buffer.from('fffefdc0af80', 'hex')],
      ['text above ASCII', Buffer.from('Zoë 🐈')],
      ['200 KiB', randomBytes(200 * 1024)],
    ] as const)('a record keeps its bytes: %s', async ([, value], { expect }) => {
      const digest = newDigest()
      await store.create(digest, { identity: value, tokens: value, metadata: value }, LONG_MS)
      const { identity, tokens, metadata } = await store.read(digest, PARTS)
      expect([identity, tokens, metadata].map((found) => found?.equals(value))).toEqual([
        true,
        true,
        true,
      ])
    })

    test('a session that is not there has no records, which is no error', async () => {
      expect(await isThere(newDigest())).toBe(false)
      expect((await store.read(newDigest(), ['identity'])).identity).toBeUndefined()
    })

    test('sessions do not touch each other', async () => {
      const [first, second] = [await createOne(), await createOne()]
      await store.end(first, LONG_MS)
      expect(await isThere(first)).toBe(false)
      expect(await isThere(second)).toBe(true)
    })

    test('many sessions made at once are all there', async () => {
      const digests = await Promise.all(Array.from({ length: 100 }, () => createOne()))
      const found = await Promise.all(digests.map(isThere))
      expect(found.filter(Boolean)).toHaveLength(100)
    })

    test('a session is there until its time has passed, and then not', async () => {
      const digest = await createOne(SHORT_MS)
      expect(await isThere(digest)).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await isThere(digest)).toBe(false)
    })

    test('reading does not prolong a session', async () => {
      const digest = await createOne(SHORT_MS)
      await made.elapse(SHORT_MS / 2)
      await isThere(digest)
      await made.elapse(SHORT_MS / 2 + 50)
      expect(await isThere(digest)).toBe(false)
    })

    test('a session that is extended lives from then on, with all of its records', async () => {
      const digest = await createOne(SHORT_MS)
      expect(await store.extend(digest, LONG_MS)).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await isThere(digest)).toBe(true)
    })

    test('a session may be given less time than it had', async () => {
      const digest = await createOne()
      expect(await store.extend(digest, SHORT_MS)).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await isThere(digest)).toBe(false)
    })

    test('what is not there cannot be extended, and does not come to be', async () => {
      const never = newDigest()
      expect(await store.extend(never, LONG_MS)).toBe(false)
      expect(await isThere(never)).toBe(false)
      const gone = await createOne(SHORT_MS)
      await made.elapse(SHORT_MS + 50)
      expect(await store.extend(gone, LONG_MS)).toBe(false)
      expect(await isThere(gone)).toBe(false)
    })

    test('an ended session is gone, and ending it again is no error', async () => {
      const digest = await createOne()
      await store.end(digest, LONG_MS)
      expect(await isThere(digest)).toBe(false)
      await store.end(digest, LONG_MS)
      expect(await isThere(digest)).toBe(false)
    })

    test('ending what never was is no error', async () => {
      const digest = newDigest()
      await store.end(digest, LONG_MS)
      expect(await isThere(digest)).toBe(false)
    })

    test('an extension that arrives after the end changes nothing', async () => {
      const digest = await createOne()
      await store.end(digest, LONG_MS)
      expect(await store.extend(digest, LONG_MS)).toBe(false)
      expect(await isThere(digest)).toBe(false)
    })

    test('a write that arrives after the end does not bring the session back', async () => {
      const digest = newDigest()
      const records = newRecords()
      await store.create(digest, records, LONG_MS)
      await store.end(digest, LONG_MS)
      // Whether the late writer is told is left to the implementation.
      await store.create(digest, records, LONG_MS).catch(() => undefined)
      expect(await isThere(digest)).toBe(false)
    })

    test('whatever races with the end, the session is over', async () => {
      const digests = await Promise.all(Array.from({ length: 20 }, () => createOne()))
      await Promise.all(
        digests.flatMap((digest) => [
          store.extend(digest, LONG_MS),
          store.end(digest, LONG_MS),
          store.extend(digest, LONG_MS),
          store.read(digest, PARTS),
          store.end(digest, LONG_MS),
          store.extend(digest, LONG_MS),
        ]),
      )
      expect(await Promise.all(digests.map(isThere))).toEqual(digests.map(() => false))
    })
  })
}

const newAttempt = (): string => randomBytes(16).toString('base64url')
const newKey = (): string => digestOfParts(newAttempt())

/** What every `OneTimeKeys` does, whatever it is made of. */
export const describeOneTimeKeys = (name: string, make: Make<OneTimeKeys>): void => {
  describe(`${name} as marks of consumption`, () => {
    let made: UnderTest<OneTimeKeys>
    let keys: OneTimeKeys
    beforeAll(async () => {
      made = await make()
      keys = made.subject
    })
    afterAll(() => made.close?.())

    const consume = (key: string, attemptId: string, ttlMs = LONG_MS) =>
      keys.consume('login', key, attemptId, ttlMs)

    test('a key is consumed by its first user and by nobody after that', async () => {
      const key = newKey()
      expect(await consume(key, newAttempt())).toBe(true)
      expect(await consume(key, newAttempt())).toBe(false)
      expect(await consume(key, newAttempt())).toBe(false)
    })

    test('the same attempt again is no replay, before and after a stranger tried', async () => {
      const [key, attempt] = [newKey(), newAttempt()]
      expect(await consume(key, attempt)).toBe(true)
      expect(await consume(key, attempt)).toBe(true)
      expect(await consume(key, newAttempt())).toBe(false)
      expect(await consume(key, attempt)).toBe(true)
    })

    test('of many attempts at once exactly one wins', async () => {
      for (let round = 0; round < 20; round++) {
        const key = newKey()
        const attempts = Array.from({ length: 25 }, newAttempt)
        const won = await Promise.all(attempts.map((attempt) => consume(key, attempt)))
        expect(won.filter(Boolean)).toHaveLength(1)
        const winner = attempts[won.indexOf(true)] as string
        expect(await consume(key, winner)).toBe(true)
      }
    })

    test('one attempt that is sent many times wins every time', async () => {
      const [key, attempt] = [newKey(), newAttempt()]
      const won = await Promise.all(Array.from({ length: 25 }, () => consume(key, attempt)))
      expect(new Set(won)).toEqual(new Set([true]))
    })

    test('keys and kinds do not touch each other', async () => {
      const [key, other] = [newKey(), newKey()]
      expect(await keys.consume('login', key, newAttempt(), LONG_MS)).toBe(true)
      expect(await keys.consume('id-token', key, newAttempt(), LONG_MS)).toBe(true)
      expect(await keys.consume('login', other, newAttempt(), LONG_MS)).toBe(true)
      expect(await keys.consume('id-token', key, newAttempt(), LONG_MS)).toBe(false)
    })

    test('a mark holds until its time has passed, and then no longer', async () => {
      const key = newKey()
      expect(await consume(key, newAttempt(), SHORT_MS)).toBe(true)
      expect(await consume(key, newAttempt(), SHORT_MS)).toBe(false)
      await made.elapse(SHORT_MS + 50)
      expect(await consume(key, newAttempt(), SHORT_MS)).toBe(true)
    })

    test('an attempt that is refused does not prolong the mark', async () => {
      const key = newKey()
      await consume(key, newAttempt(), SHORT_MS)
      await made.elapse(SHORT_MS / 2)
      expect(await consume(key, newAttempt(), LONG_MS)).toBe(false)
      await made.elapse(SHORT_MS / 2 + 50)
      expect(await consume(key, newAttempt(), LONG_MS)).toBe(true)
    })

    test('a mark of a part of a millisecond is still a mark', async () => {
      expect(await consume(newKey(), newAttempt(), FRACTION_MS)).toBe(true)
    })

    test('its owner may let a mark live longer, and nobody else', async () => {
      const [key, attempt] = [newKey(), newAttempt()]
      await consume(key, attempt, SHORT_MS)
      expect(await keys.extend('login', key, newAttempt(), LONG_MS)).toBe(false)
      expect(await keys.extend('id-token', key, attempt, LONG_MS)).toBe(false)
      expect(await keys.extend('login', key, attempt, LONG_MS)).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await consume(key, newAttempt())).toBe(false)
      expect(await consume(key, attempt)).toBe(true)
    })

    test('a mark that has ended cannot be made to live longer', async () => {
      const [key, attempt] = [newKey(), newAttempt()]
      expect(await keys.extend('login', key, attempt, LONG_MS)).toBe(false)
      await consume(key, attempt, SHORT_MS)
      await made.elapse(SHORT_MS + 50)
      expect(await keys.extend('login', key, attempt, LONG_MS)).toBe(false)
      expect(await consume(key, newAttempt())).toBe(true)
    })

    test('its owner may take a mark back, and then anybody may consume', async () => {
      const [key, attempt] = [newKey(), newAttempt()]
      await consume(key, attempt)
      await keys.release('login', key, attempt)
      expect(await consume(key, newAttempt())).toBe(true)
      expect(await consume(key, attempt)).toBe(false)
    })

    test('nobody else can take a mark back', async () => {
      const [key, attempt] = [newKey(), newAttempt()]
      await consume(key, attempt)
      await keys.release('login', key, newAttempt())
      await keys.release('id-token', key, attempt)
      await keys.release('login', newKey(), attempt)
      expect(await consume(key, newAttempt())).toBe(false)
    })

    test('taking back what is not there is no error, and late it touches no new owner', async () => {
      const [key, late, next] = [newKey(), newAttempt(), newAttempt()]
      await keys.release('login', key, late)
      await consume(key, late)
      await keys.release('login', key, late)
      await consume(key, next)
      await keys.release('login', key, late)
      expect(await consume(key, newAttempt())).toBe(false)
      expect(await consume(key, next)).toBe(true)
    })
  })
}

/** What every `SessionIndex` does, whatever it is made of. */
export const describeSessionIndex = (name: string, make: Make<SessionIndex>): void => {
  describe(`${name} as an index of sessions by their owners`, () => {
    let made: UnderTest<SessionIndex>
    let index: SessionIndex
    beforeAll(async () => {
      made = await make()
      index = made.subject
    })
    afterAll(() => made.close?.())

    const newOwners = () => ({ user: newDigest(), providerSession: newDigest() })
    const addOne = async (owners: Owners, ttlMs = LONG_MS): Promise<string> => {
      const digest = newDigest()
      await index.add(digest, owners, ttlMs)
      return digest
    }
    const userList = async (owners: Owners) => (await index.list('user', owners.user)).toSorted()

    test('a session is found by its user and by the session at the provider', async () => {
      const owners = newOwners()
      const digest = await addOne(owners)
      expect(await index.list('user', owners.user)).toEqual([digest])
      expect(await index.list('providerSession', owners.providerSession)).toEqual([digest])
    })

    test('an owner without sessions has none, which is no error', async () => {
      expect(await index.list('user', newDigest())).toEqual([])
      expect(await index.list('providerSession', newDigest())).toEqual([])
    })

    test('a user without a session at the provider is found as a user alone', async () => {
      const owners = { user: newDigest() }
      const digest = await addOne(owners)
      expect(await index.list('user', owners.user)).toEqual([digest])
      await index.remove(digest, owners)
      expect(await index.list('user', owners.user)).toEqual([])
    })

    test('kinds of owners do not mix, also where they have the same name', async () => {
      const same = newDigest()
      const user = await addOne({ user: same })
      const both = { user: newDigest(), providerSession: same }
      const session = await addOne(both)
      expect(await index.list('user', same)).toEqual([user])
      expect(await index.list('providerSession', same)).toEqual([session])
      await index.remove(session, both)
      expect(await index.list('user', same)).toEqual([user])
    })

    test('of what is said to be lost goes what ends early enough, and of this owner alone', async () => {
      const [owners, other] = [newOwners(), newOwners()]
      const [early, late, kept] = [await addOne(owners), await addOne(owners), await addOne(owners)]
      const theirs = await addOne(other)
      await index.add(late, owners, 3 * LONG_MS)
      const owner = { kind: 'user', id: owners.user } as const
      await index.removeLost(owner, [early, late, theirs, newDigest()], 2 * LONG_MS)
      await index.removeLost({ ...owner, id: newDigest() }, [kept], 2 * LONG_MS)
      expect(await userList(owners)).toEqual([kept, late].toSorted())
      expect(await userList(other)).toEqual([theirs])
      expect(await index.list('providerSession', owners.providerSession)).toContain(early)
      await index.removeLost(owner, [kept, late], 4 * LONG_MS)
      expect(await userList(owners)).toEqual([])
    })

    test('owners do not touch each other', async () => {
      const [first, second] = [newOwners(), newOwners()]
      const digest = await addOne(first)
      const other = await addOne(second)
      await index.remove(digest, first)
      expect(await userList(first)).toEqual([])
      expect(await userList(second)).toEqual([other])
    })

    test('several sessions at the provider belong to one user', async () => {
      const [first, second] = [newOwners(), newOwners()]
      const owners = { ...second, user: first.user }
      const digests = [await addOne(first), await addOne(owners)]
      expect(await userList(first)).toEqual(digests.toSorted())
      expect(await index.list('providerSession', first.providerSession)).toEqual([digests[0]])
      expect(await index.list('providerSession', owners.providerSession)).toEqual([digests[1]])
    })

    test('many sessions of one user, added at once, are all found', async () => {
      const owners = newOwners()
      const digests = await Promise.all(Array.from({ length: 200 }, () => addOne(owners)))
      expect(await userList(owners)).toEqual(digests.toSorted())
      await Promise.all(digests.slice(1).map((digest) => index.remove(digest, owners)))
      expect(await userList(owners)).toEqual([digests[0]])
    })

    test('a session that is added twice is found once', async () => {
      const owners = newOwners()
      const digest = await addOne(owners)
      await index.add(digest, owners, LONG_MS)
      expect(await userList(owners)).toEqual([digest])
    })

    test('a session is found until its time has passed, and then not', async () => {
      const owners = newOwners()
      const digest = await addOne(owners, SHORT_MS)
      expect(await userList(owners)).toEqual([digest])
      await made.elapse(SHORT_MS + 50)
      expect(await userList(owners)).toEqual([])
      expect(await index.list('providerSession', owners.providerSession)).toEqual([])
    })

    test('the longest life counts, whichever session came first', async () => {
      const [first, second] = [newOwners(), newOwners()]
      const long = [await addOne(first, LONG_MS)]
      await addOne(first, SHORT_MS)
      await addOne(second, SHORT_MS)
      long.push(await addOne(second, LONG_MS))
      await made.elapse(SHORT_MS + 50)
      expect(await userList(first)).toEqual([long[0]])
      expect(await userList(second)).toEqual([long[1]])
    })

    test('adding again prolongs, and adding another session does not', async () => {
      const owners = newOwners()
      const digest = await addOne(owners, SHORT_MS)
      const passing = await addOne(owners, SHORT_MS)
      await index.add(digest, owners, LONG_MS)
      await made.elapse(SHORT_MS + 50)
      expect(await userList(owners)).toEqual([digest])
      await addOne(owners)
      expect(await userList(owners)).not.toContain(passing)
    })

    test('looking does not prolong', async () => {
      const owners = newOwners()
      await addOne(owners, SHORT_MS)
      await made.elapse(SHORT_MS / 2)
      await userList(owners)
      await made.elapse(SHORT_MS / 2 + 50)
      expect(await userList(owners)).toEqual([])
    })

    test('removing what is not there is no error and leaves the others', async () => {
      const owners = newOwners()
      await index.remove(newDigest(), owners)
      const digest = await addOne(owners)
      await index.remove(newDigest(), owners)
      await index.remove(digest, newOwners())
      expect(await userList(owners)).toEqual([digest])
      await index.remove(digest, owners)
      await index.remove(digest, owners)
      expect(await userList(owners)).toEqual([])
    })

    test('removing one of two leaves the other for as long as it had', async () => {
      const owners = newOwners()
      const longer = await addOne(owners, LONG_MS)
      const shorter = await addOne(owners, SHORT_MS)
      await index.remove(longer, owners)
      expect(await userList(owners)).toEqual([shorter])
      await made.elapse(SHORT_MS + 50)
      expect(await userList(owners)).toEqual([])
    })

    test('what was removed may be added again', async () => {
      const owners = newOwners()
      const digest = await addOne(owners)
      await index.remove(digest, owners)
      await index.add(digest, owners, LONG_MS)
      expect(await userList(owners)).toEqual([digest])
    })

    test('a life of a part of a millisecond more is still a life', async () => {
      const owners = newOwners()
      const digest = await addOne(owners, FRACTION_MS)
      expect(await userList(owners)).toEqual([digest])
    })
  })
}
