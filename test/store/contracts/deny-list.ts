import { expect, test } from 'vitest'
import type { DenyList } from '../../../src/store/deny-list.ts'
import { describeContract, FRACTION_MS, LONG_MS, newDigest, SHORT_MS } from './contract.ts'

export const describeDenyList = describeContract<DenyList>('a list of denied tokens', (given) => {
  async function denyOne(ttlMs = LONG_MS): Promise<string> {
    const token = newDigest()
    await given.port.add(token, ttlMs)
    return token
  }
  const leftOf = async (token: string): Promise<number | undefined> =>
    (await given.port.list()).find((each) => each.token === token)?.leftMs

  test('a denied token is listed with the time it has left', async () => {
    const leftMs = await leftOf(await denyOne())
    expect(leftMs).toBeGreaterThan(LONG_MS - SHORT_MS)
    expect(leftMs).toBeLessThanOrEqual(LONG_MS)
    expect(await leftOf(newDigest())).toBeUndefined()
  })

  test('200 tokens denied at once are listed once each', async () => {
    const tokens = await Promise.all(Array.from({ length: 200 }, () => denyOne()))
    const listed = (await given.port.list()).map(({ token }) => token)
    expect(listed).toEqual(expect.arrayContaining(tokens))
    expect(new Set(listed).size).toBe(listed.length)
  })

  test('a denial expires without the others', async () => {
    const [passing, staying] = [await denyOne(SHORT_MS), await denyOne()]
    expect(await leftOf(passing)).toBeGreaterThan(0)
    await given.elapse()
    expect(await leftOf(passing)).toBeUndefined()
    expect(await leftOf(staying)).toBeGreaterThan(0)
  })

  test.for([
    ['a shorter one', LONG_MS, SHORT_MS],
    ['a longer one', SHORT_MS, LONG_MS],
  ] as const)('the longer TTL counts after %s', async ([, firstMs, secondMs]) => {
    const token = await denyOne(firstMs)
    await given.port.add(token, secondMs)
    await given.elapse()
    expect(await leftOf(token)).toBeGreaterThan(SHORT_MS)
  })

  test('a read does not extend a denial', async () => {
    const token = await denyOne(SHORT_MS)
    await given.elapse(SHORT_MS / 2)
    expect(await leftOf(token)).toBeLessThan(SHORT_MS)
    await given.elapse(SHORT_MS / 2 + 50)
    expect(await leftOf(token)).toBeUndefined()
  })

  test('a TTL with a fraction of a millisecond is accepted', async () => {
    expect(await leftOf(await denyOne(FRACTION_MS))).toBeGreaterThan(0)
  })
})
