import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DenyList } from '../../src/store/deny-list.ts'
import { FRACTION_MS, LONG_MS, type Make, newDigest, SHORT_MS, type UnderTest } from './contract.ts'

/** What every `DenyList` does, whatever it is made of. */
export const describeDenyList = (name: string, make: Make<DenyList>): void => {
  describe(`${name} as a list of denied tokens`, () => {
    let made: UnderTest<DenyList>
    let denyList: DenyList
    beforeAll(async () => {
      made = await make()
      denyList = made.subject
    })
    afterAll(() => made.close?.())

    const denyOne = async (ttlMs = LONG_MS): Promise<string> => {
      const token = newDigest()
      await denyList.add(token, ttlMs)
      return token
    }
    const leftOf = async (token: string): Promise<number | undefined> =>
      (await denyList.list()).find((each) => each.token === token)?.leftMs

    test('what was denied is listed, with the time it has left', async () => {
      const token = await denyOne()
      const leftMs = await leftOf(token)
      expect(leftMs).toBeGreaterThan(LONG_MS - SHORT_MS)
      expect(leftMs).toBeLessThanOrEqual(LONG_MS)
      expect(await leftOf(newDigest())).toBeUndefined()
    })

    test('many that are denied at once are all listed, each once', async () => {
      const tokens = await Promise.all(Array.from({ length: 200 }, () => denyOne()))
      const listed = (await denyList.list()).map(({ token }) => token)
      expect(listed).toEqual(expect.arrayContaining(tokens))
      expect(new Set(listed).size).toBe(listed.length)
    })

    test('a denial ends by itself, and the others stay', async () => {
      const [passing, staying] = [await denyOne(SHORT_MS), await denyOne()]
      expect(await leftOf(passing)).toBeGreaterThan(0)
      await made.elapse(SHORT_MS + 50)
      expect(await leftOf(passing)).toBeUndefined()
      expect(await leftOf(staying)).toBeGreaterThan(0)
    })

    test('denying again prolongs and never shortens', async () => {
      const [shorter, longer] = [await denyOne(), await denyOne(SHORT_MS)]
      await denyList.add(shorter, SHORT_MS)
      await denyList.add(longer, LONG_MS)
      await made.elapse(SHORT_MS + 50)
      expect(await leftOf(shorter)).toBeGreaterThan(SHORT_MS)
      expect(await leftOf(longer)).toBeGreaterThan(SHORT_MS)
    })

    test('looking does not prolong', async () => {
      const token = await denyOne(SHORT_MS)
      await made.elapse(SHORT_MS / 2)
      expect(await leftOf(token)).toBeLessThan(SHORT_MS)
      await made.elapse(SHORT_MS / 2 + 50)
      expect(await leftOf(token)).toBeUndefined()
    })

    test('a denial of a part of a millisecond more is still a denial', async () => {
      expect(await leftOf(await denyOne(FRACTION_MS))).toBeGreaterThan(0)
    })
  })
}
