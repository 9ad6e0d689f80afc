import { expect, test } from 'vitest'
import type { EndReason } from '../../../src/core/end-reason.ts'
import type { SessionLife, Store } from '../../../src/store/store.ts'
import { describeContract, LONG_MS, newDigest, newRecords, SHORT_MS } from './contract.ts'

export const describeLives = describeContract<Store>('lives of sessions', (given) => {
  async function createOne(ttlMs = LONG_MS): Promise<string> {
    const digest = newDigest()
    await given.port.create(digest, newRecords(8), ttlMs)
    return digest
  }
  const endedFor = (reason?: EndReason): SessionLife => ({ kind: 'ended', reason })
  /** Reads lives with a lifetime that lies between two others as `around`. */
  async function lives(around: readonly [number, number], ...digests: readonly string[]) {
    const [least, most] = around
    return (await given.port.readLives(digests)).map((life) =>
      life.kind === 'alive' && life.leftMs > least && life.leftMs <= most ? 'alive' : life,
    )
  }

  test('no question has no answer', async () => {
    expect(await given.port.readLives([])).toEqual([])
  })

  test('each session has its own life, in the order of the question and as often as asked', async () => {
    const [one, never, ended, two] = [
      await createOne(),
      newDigest(),
      await createOne(),
      await createOne(),
    ]
    await given.port.end(ended, LONG_MS, 'provider')
    const asked = [one, never, ended, two, one, ended]
    const gone = [endedFor(), endedFor('provider')]
    expect(await lives([SHORT_MS, LONG_MS], ...asked)).toEqual([
      'alive',
      ...gone,
      'alive',
      'alive',
      gone[1],
    ])
  })

  test('a life ends with its TTL, without a reason, unless it is extended', async () => {
    const [stays, goes] = [await createOne(SHORT_MS), await createOne(SHORT_MS)]
    expect(await lives([0, SHORT_MS], stays, goes)).toEqual(['alive', 'alive'])
    await given.port.extend(stays, LONG_MS)
    expect(await lives([SHORT_MS, LONG_MS], stays)).toEqual(['alive'])
    await given.elapse()
    expect(await lives([0, LONG_MS], stays, goes)).toEqual(['alive', endedFor()])
  })

  test.for([
    ['longer', SHORT_MS / 2, SHORT_MS],
    ['shorter', SHORT_MS, 1],
  ] as const)(
    'the first reason stays for the longer of two tombstones: the second is %s',
    async (row) => {
      const [, firstMs, secondMs] = row
      const digest = await createOne()
      await given.port.end(digest, firstMs, 'operator')
      await given.port.end(digest, secondMs, 'signed-out')
      await given.elapse(SHORT_MS / 2 + 50)
      expect(await lives([0, 0], digest)).toEqual([endedFor('operator')])
    },
  )

  test('a reason is forgotten with its tombstone, and then that of another end counts', async () => {
    const digest = await createOne()
    await given.port.end(digest, SHORT_MS, 'replaced')
    await given.elapse()
    expect(await lives([0, 0], digest)).toEqual([endedFor()])
    await given.port.end(digest, SHORT_MS, 'provider')
    expect(await lives([0, 0], digest)).toEqual([endedFor('provider')])
  })

  test('any number of sessions can be asked about', async () => {
    const digests = await Promise.all(Array.from({ length: 450 }, () => createOne()))
    const ended = digests.filter((_, at) => at % 7 === 0)
    await Promise.all(ended.map((digest) => given.port.end(digest, LONG_MS, 'expired')))
    expect(await lives([SHORT_MS, LONG_MS], ...digests)).toEqual(
      digests.map((_, at) => (at % 7 === 0 ? endedFor('expired') : 'alive')),
    )
  })
})
