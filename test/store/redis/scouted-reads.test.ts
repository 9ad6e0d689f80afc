import { setImmediate as nextRound } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createScoutedReads } from '../../../src/store/redis/scouted-reads.ts'

const UNUSABLE = Buffer.alloc(0)
const small = [Buffer.from('small')]
const large = [Buffer.alloc(100), Buffer.alloc(3)]

type Values = readonly (Buffer | null)[]

function start() {
  const sent: PromiseWithResolvers<Values>[] = []
  const reads = createScoutedReads<{ readonly digest: string }, Values>({
    async fetch({ digest }) {
      const question = Promise.withResolvers<Values>()
      sent.push(question)
      const values = await question.promise
      if (values.every((value) => (value?.length ?? 0) <= 10)) return values
      reads.noteOversized(digest)
      return values.map(() => UNUSABLE)
    },
    unusable: () => [UNUSABLE],
  })
  return { sent, read: (digest: string) => reads.read({ digest }) }
}

describe('reads of one session of unknown size', () => {
  test('wait for the first, and then each is sent', async () => {
    const { sent, read } = start()
    const all = [read('a'), read('a'), read('a')]
    expect(sent).toHaveLength(1)
    sent[0]?.resolve(small)
    await nextRound()
    expect(sent).toHaveLength(3)
    const known = read('a')
    expect(sent).toHaveLength(4)
    for (const question of sent.slice(1)) question.resolve(small)
    expect(await Promise.all([...all, known])).toEqual([small, small, small, small])
  })

  test('count an absent record as small', async () => {
    const { sent, read } = start()
    const first = read('a')
    sent[0]?.resolve([null])
    expect(await first).toEqual([null])
    void read('a')
    void read('a')
    expect(sent).toHaveLength(3)
  })

  test('stop at the first oversized answer, also for those that wait', async () => {
    const { sent, read } = start()
    const all = [read('a'), read('a'), read('a')]
    sent[0]?.resolve(large)
    expect(await all[0]).toEqual([UNUSABLE, UNUSABLE])
    expect((await Promise.all(all)).flat().every((one) => one === UNUSABLE)).toBe(true)
    expect([await read('a'), sent.length]).toEqual([[UNUSABLE], 1])
  })

  test('notice a record that has become oversized', async () => {
    const { sent, read } = start()
    const first = read('a')
    sent[0]?.resolve(small)
    await first
    const second = read('a')
    sent[1]?.resolve(large)
    expect([await second, await read('a')]).toEqual([[UNUSABLE, UNUSABLE], [UNUSABLE]])
  })

  test('pass a failure to its own caller, and the next is sent', async () => {
    const { sent, read } = start()
    const [first, second] = [read('a'), read('a')]
    const failed = expect(first).rejects.toThrow('no')
    sent[0]?.reject(new Error('no'))
    await failed
    await nextRound()
    sent[1]?.resolve(small)
    expect(await second).toEqual(small)
  })

  test('wait for a new first read after a failed one', async () => {
    const { sent, read } = start()
    const failed = expect(read('a')).rejects.toThrow('no')
    sent[0]?.reject(new Error('no'))
    await failed
    const all = [read('a'), read('a')]
    expect(sent, 'the failed one is no longer waited for').toHaveLength(2)
    sent[1]?.resolve(small)
    await nextRound()
    expect(sent).toHaveLength(3)
    sent[2]?.resolve(small)
    expect(await Promise.all(all)).toEqual([small, small])
  })

  test('do not delay other sessions', async () => {
    const { sent, read } = start()
    const first = read('a')
    const other = read('b')
    sent[1]?.resolve(small)
    expect(await other).toEqual(small)
    sent[0]?.resolve(small)
    expect(await first).toEqual(small)
  })
})
