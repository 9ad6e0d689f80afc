import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RecordPart, Store } from '../../src/store/store.ts'
import { LONG_MS, type Make, newDigest, newRecords, SHORT_MS, type UnderTest } from './contract.ts'

const PARTS: readonly RecordPart[] = ['identity', 'tokens', 'metadata']
const newTokens = (bytes = 64) => ({ identity: randomBytes(bytes), tokens: randomBytes(bytes) })

/** How every `Store` replaces the records of a session that was refreshed. */
export const describeReplacement = (name: string, makeStore: Make<Store>): void => {
  describe(`${name} as a store in which sessions are replaced`, () => {
    let made: UnderTest<Store>
    let store: Store
    beforeAll(async () => {
      made = await makeStore()
      store = made.subject
    })
    afterAll(() => made.close?.())

    const createOne = async (ttlMs = LONG_MS) => {
      const [digest, records] = [newDigest(), newRecords()]
      await store.create(digest, records, ttlMs)
      return { digest, records, before: records.tokens }
    }
    const isThere = async (digest: string) =>
      (await store.read(digest, ['identity'])).identity !== undefined

    test('identity and tokens are others from then on, and the metadata are untouched', async () => {
      const { digest, records, before } = await createOne()
      const after = newTokens(3000)
      expect(await store.replace(digest, after, before)).toBe('replaced')
      expect(await store.read(digest, PARTS)).toEqual({ ...after, metadata: records.metadata })
    })

    test('who knows what is there now may replace it again, and who knows what was cannot', async () => {
      const { digest, before } = await createOne()
      const [first, second] = [newTokens(), newTokens()]
      await store.replace(digest, first, before)
      expect(await store.replace(digest, second, first.tokens)).toBe('replaced')
      expect(await store.replace(digest, newTokens(), first.tokens)).toBe('changed')
      expect(await store.replace(digest, newTokens(), before)).toBe('changed')
      expect(await store.read(digest, ['identity', 'tokens'])).toEqual(second)
    })

    test.for([
      ['other tokens', () => randomBytes(65)],
      ['nothing', () => Buffer.alloc(0)],
      ['their beginning', (before: Buffer) => before.subarray(0, -1)],
      ['more than them', (before: Buffer) => Buffer.concat([before, Buffer.of(0)])],
      ['all but a bit of them', (before: Buffer) => before.map((byte, at) => byte ^ +(at === 9))],
    ] as const)('who takes %s for what is there writes nothing', async ([, taken], { expect }) => {
      const { digest, records, before } = await createOne()
      const wrongly = Buffer.from(taken(before))
      expect(await store.replace(digest, newTokens(), wrongly)).toBe('changed')
      expect(await store.read(digest, PARTS)).toEqual(records)
    })

    test('tokens are compared and kept byte by byte', async () => {
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
      const digest = newDigest()
      await store.create(digest, { identity: every, tokens: every, metadata: every }, LONG_MS)
      const after = { identity: Buffer.of(0), tokens: Buffer.from(every.toReversed()) }
      expect(await store.replace(digest, after, every)).toBe('replaced')
      const { identity, tokens, metadata } = await store.read(digest, PARTS)
      expect([
        identity?.equals(after.identity),
        tokens?.equals(after.tokens),
        metadata?.equals(every),
      ]).toEqual([true, true, true])
    })

    test('a call that is carried out twice, or late, has replaced', async () => {
      const { digest, before } = await createOne()
      const after = newTokens()
      expect(await store.replace(digest, after, before)).toBe('replaced')
      expect(await store.replace(digest, after, before)).toBe('replaced')
      const next = newTokens()
      await store.replace(digest, next, after.tokens)
      expect(await store.replace(digest, after, before)).toBe('changed')
      expect(await store.read(digest, ['identity', 'tokens'])).toEqual(next)
    })

    test('of many who replace the same tokens at once one wins, and its records belong together', async () => {
      for (let round = 0; round < 10; round += 1) {
        const { digest, before } = await createOne()
        const racers = Array.from({ length: 20 }, () => newTokens())
        const outcomes = await Promise.all(
          racers.map((after) => store.replace(digest, after, before)),
        )
        expect(outcomes.filter((outcome) => outcome === 'replaced')).toHaveLength(1)
        expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(19)
        const winner = racers[outcomes.indexOf('replaced')]
        expect(await store.read(digest, ['identity', 'tokens'])).toEqual(winner)
      }
    })

    test.for([
      ['never was', async (digest: string) => digest],
      [
        'has ended',
        async (digest: string, records: Record<RecordPart, Buffer>) => {
          await store.create(digest, records, LONG_MS)
          await store.end(digest, LONG_MS)
        },
      ],
      [
        'has ended longer ago than its end is known',
        async (digest: string, records: Record<RecordPart, Buffer>) => {
          await store.create(digest, records, LONG_MS)
          await store.end(digest, SHORT_MS)
          await made.elapse(SHORT_MS + 50)
        },
      ],
      [
        'has reached its end',
        async (digest: string, records: Record<RecordPart, Buffer>) => {
          await store.create(digest, records, SHORT_MS)
          await made.elapse(SHORT_MS + 50)
        },
      ],
    ] as const)('a session that %s does not come back', async ([, prepare], { expect }) => {
      const [digest, records] = [newDigest(), newRecords()]
      await prepare(digest, records)
      expect(await store.replace(digest, newTokens(), records.tokens)).toBe('gone')
      expect(await store.read(digest, PARTS)).toEqual({})
    })

    test('whatever races with the end, the session is over', async () => {
      const sessions = await Promise.all(Array.from({ length: 20 }, () => createOne()))
      await Promise.all(
        sessions.flatMap(({ digest, before }) => {
          const after = newTokens()
          return [
            store.replace(digest, after, before),
            store.end(digest, LONG_MS),
            store.replace(digest, newTokens(), after.tokens),
            store.replace(digest, newTokens(), before),
          ]
        }),
      )
      for (const { digest } of sessions) expect(await isThere(digest)).toBe(false)
    })

    test.for([
      ['that it had', SHORT_MS, undefined, false],
      ['that it was given later, if that is more', SHORT_MS, LONG_MS, true],
      ['that it was given later, if that is less', LONG_MS, SHORT_MS, false],
    ] as const)(
      'a session lives for the time %s',
      async ([, ttlMs, givenMs, lives], { expect }) => {
        const { digest, before } = await createOne(ttlMs)
        if (givenMs !== undefined) await store.extend(digest, givenMs)
        expect(await store.replace(digest, newTokens(), before)).toBe('replaced')
        expect(await isThere(digest)).toBe(true)
        await made.elapse(SHORT_MS + 50)
        const found = await store.read(digest, PARTS)
        const parts = PARTS.filter((part) => found[part] !== undefined)
        expect(parts).toEqual(lives ? PARTS : [])
      },
    )

    test('a session that was replaced can be extended and ended like any other', async () => {
      const { digest, before } = await createOne(SHORT_MS)
      await store.replace(digest, newTokens(), before)
      expect(await store.extend(digest, LONG_MS)).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await isThere(digest)).toBe(true)
      await store.end(digest, LONG_MS)
      expect(await isThere(digest)).toBe(false)
    })

    test('sessions do not touch each other', async () => {
      const [one, other] = [await createOne(), await createOne()]
      expect(await store.replace(one.digest, newTokens(), other.before)).toBe('changed')
      await store.replace(one.digest, newTokens(), one.before)
      expect(await store.read(other.digest, PARTS)).toEqual(other.records)
    })
  })
}
