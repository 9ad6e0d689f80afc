import { setImmediate as nextRound } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createTurns } from '../../src/store/turns.ts'

/** Questions whose answers come when the test says so. */
function createQuestions() {
  const open: PromiseWithResolvers<number>[] = []
  return {
    open,
    ask: () => {
      const question = Promise.withResolvers<number>()
      open.push(question)
      return question.promise
    },
  }
}

describe('questions about one key', () => {
  test('go one after the other, and those who come meanwhile share the next', async () => {
    const turns = createTurns<number>()
    const { open, ask } = createQuestions()
    const first = turns.share('a', ask)
    const later = [turns.share('a', ask), turns.share('a', ask), turns.share('a', ask)]
    expect(open).toHaveLength(1)
    open[0]?.resolve(1)
    expect(await first).toBe(1)
    await nextRound()
    expect(open).toHaveLength(2)
    const last = turns.share('a', ask)
    open[1]?.resolve(2)
    expect(await Promise.all(later)).toEqual([2, 2, 2])
    await nextRound()
    expect(open).toHaveLength(3)
    open[2]?.resolve(3)
    expect(await last).toBe(3)
    const alone = turns.share('a', ask)
    expect(open).toHaveLength(4)
    open[3]?.resolve(4)
    expect(await alone).toBe(4)
  })

  test('a failure is told to those who asked together, and the next are asked for anew', async () => {
    const turns = createTurns<number>()
    const { open, ask } = createQuestions()
    const first = turns.share('a', ask)
    const second = turns.share('a', ask)
    const failed = expect(first).rejects.toThrow('no')
    open[0]?.reject(new Error('no'))
    await failed
    await nextRound()
    open[1]?.resolve(2)
    expect(await second).toBe(2)
  })

  test('other keys do not wait', async () => {
    const turns = createTurns<number>()
    const { open, ask } = createQuestions()
    const first = turns.share('a', ask)
    const other = turns.share('b', ask)
    open[1]?.resolve(2)
    expect(await other).toBe(2)
    open[0]?.resolve(1)
    expect(await first).toBe(1)
  })
})
