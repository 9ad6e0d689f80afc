import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { consumptionKey, type OneTimeKeys } from '../../src/store/one-time-keys.ts'
import type { RecordPart, Store } from '../../src/store/store.ts'

/** An implementation under test and the way to let its time pass: a clock set forward, or a real wait. */
export interface UnderTest<T> {
  readonly subject: T
  readonly elapse: (ms: number) => Promise<void>
  /** Ends connections and processes. */
  readonly close?: () => Promise<void>
}

type Make<T> = () => Promise<UnderTest<T>> | UnderTest<T>

/** Short enough to be waited for, long enough for several round trips. */
const SHORT_MS = 300
const LONG_MS = 60_000
const PARTS: readonly RecordPart[] = ['s', 't', 'm']

const newDigest = (): string => randomBytes(32).toString('base64url')

const newRecords = (bytes = 64): Record<RecordPart, Buffer> => ({
  s: randomBytes(bytes),
  t: randomBytes(bytes + 1),
  m: randomBytes(bytes + 2),
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
      expect(Object.keys(await store.read(digest, ['t', 's']))).toEqual(['t', 's'])
      expect(Object.keys(await store.read(digest, ['m']))).toEqual(['m'])
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
      await store.create(digest, { s: value, t: value, m: value }, LONG_MS)
      const { s, t, m } = await store.read(digest, PARTS)
      expect([s, t, m].map((found) => found?.equals(value))).toEqual([true, true, true])
    })

    test('a session that is not there has no records, which is no error', async () => {
      expect(await isThere(newDigest())).toBe(false)
      expect((await store.read(newDigest(), ['s'])).s).toBeUndefined()
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
const newKey = (): string => consumptionKey(newAttempt())

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
      expect(await consume(newKey(), newAttempt(), 1234.56)).toBe(true)
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
