import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../../src/store/store.ts'
import { LONG_MS, type Make, newDigest, newRecords, SHORT_MS, type UnderTest } from './contract.ts'

/** How every `Store` tells which sessions there are. */
export const describeListing = (name: string, makeStore: Make<Store>): void => {
  describe(`${name} as a list of sessions`, () => {
    let made: UnderTest<Store>
    let store: Store
    beforeAll(async () => {
      made = await makeStore()
      store = made.subject
    })
    afterAll(() => made.close?.())

    const createOne = async (ttlMs = LONG_MS): Promise<string> => {
      const digest = newDigest()
      await store.create(digest, newRecords(8), ttlMs)
      return digest
    }
    const createMany = (count: number): Promise<string[]> =>
      Promise.all(Array.from({ length: count }, () => createOne()))
    const listed = async (): Promise<Set<string>> => {
      const portions = await Array.fromAsync(store.list())
      return new Set(portions.flat())
    }

    test('many sessions are all found', async () => {
      const digests = new Set(await createMany(1000))
      expect(digests.difference(await listed())).toEqual(new Set())
    })

    test('a session is found until it has ended, by its end or by its time', async () => {
      const [kept, ended, passing] = [
        await createOne(),
        await createOne(),
        await createOne(SHORT_MS),
      ]
      const before = await listed()
      expect([kept, ended].map((digest) => before.has(digest))).toEqual([true, true])
      await store.end(ended, LONG_MS)
      await made.elapse(SHORT_MS + 50)
      const after = await listed()
      expect([kept, ended, passing].map((digest) => after.has(digest))).toEqual([
        true,
        false,
        false,
      ])
    })

    test('what is there all the while is found, whatever comes and goes', async () => {
      const staying = new Set(await createMany(300))
      const going = await createMany(300)
      const found = new Set<string>()
      for await (const portion of store.list()) {
        for (const digest of portion) found.add(digest)
        await Promise.all(going.splice(0, 50).map((digest) => store.end(digest, LONG_MS)))
        await createMany(50)
      }
      expect(staying.difference(found)).toEqual(new Set())
    })

    test('whoever has seen enough may stop, and begin again', async () => {
      const digest = await createOne()
      for await (const portion of store.list()) if (portion.length > 0) break
      expect((await listed()).has(digest)).toBe(true)
    })
  })
}
