import { expect, test } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { describeContract, LONG_MS, newDigest, newRecords, SHORT_MS } from './contract.ts'

export const describeListing = describeContract<Store>('a list of sessions', (given) => {
  async function createOne(ttlMs = LONG_MS): Promise<string> {
    const digest = newDigest()
    await given.port.create(digest, newRecords(8), ttlMs)
    return digest
  }
  const createMany = (count: number): Promise<string[]> =>
    Promise.all(Array.from({ length: count }, () => createOne()))
  const listed = async () => new Set((await Array.fromAsync(given.port.list())).flat())

  test('1000 sessions are all listed', async () => {
    const digests = new Set(await createMany(1000))
    expect(digests.difference(await listed())).toEqual(new Set())
  })

  test('a session is listed until it is ended or has expired', async () => {
    const digests = [await createOne(), await createOne(), await createOne(SHORT_MS)] as const
    const before = await listed()
    expect(digests.slice(0, 2).map((digest) => before.has(digest))).toEqual([true, true])
    await given.port.end(digests[1], LONG_MS, 'operator')
    await given.elapse()
    const after = await listed()
    expect(digests.map((digest) => after.has(digest))).toEqual([true, false, false])
  })

  test('a session that is present all the while is listed, whatever is created and ended', async () => {
    const staying = new Set(await createMany(300))
    const going = await createMany(300)
    const found = new Set<string>()
    for await (const portion of given.port.list()) {
      for (const digest of portion) found.add(digest)
      await Promise.all(
        going.splice(0, 50).map((digest) => given.port.end(digest, LONG_MS, 'operator')),
      )
      await createMany(50)
    }
    expect(staying.difference(found)).toEqual(new Set())
  })

  test('a listing that was stopped can be started again', async () => {
    const digest = await createOne()
    for await (const portion of given.port.list()) if (portion.length > 0) break
    expect((await listed()).has(digest)).toBe(true)
  })
})
