import { expect, test } from 'vitest'
import { TopologyError } from '../../../src/redis/failure.ts'
import { createSentinelState } from '../../../src/redis/sentinel/sentinel-state.ts'

function start() {
  const reports: unknown[][] = []
  const failures: string[] = []
  const state = createSentinelState({
    onSentinelsAway: ({ failure, reason }) => void reports.push(['away', failure, reason]),
    onSentinelsBack: () => void reports.push(['back']),
    onFailure: (failure) => void failures.push(failure),
  })
  const answer = (epoch = 1, isFromAll = true) => state.onAnswered({ epoch, isFromAll })
  const miss = (rounds: number, reason = 'no') => {
    for (let round = 0; round < rounds; round += 1)
      state.onUnanswered(new TopologyError('sentinel', reason))
  }
  return { state, reports, failures, answer, miss }
}

test('Sentinels are reported away after three rounds in a row, once, and back once', () => {
  const { reports, failures, answer, miss } = start()
  miss(2)
  answer()
  miss(2)
  expect(reports).toEqual([])
  miss(3)
  expect(reports).toEqual([['away', 'sentinel', 'no']])
  answer()
  answer()
  expect(reports).toEqual([['away', 'sentinel', 'no'], ['back']])
  expect(failures).toEqual(Array(7).fill('sentinel'))
})

test('another failure of Sentinels that are away is reported', () => {
  const { state, reports, miss } = start()
  miss(3)
  state.onUnanswered(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
  expect(reports).toEqual([
    ['away', 'sentinel', 'no'],
    ['away', 'connection', expect.stringContaining('connection refused')],
  ])
})

test('the latest epoch falls only when all Sentinels report a lower one', () => {
  const { state, answer } = start()
  const epochs = [
    [5, false],
    [3, false],
    [3, true],
  ] as const
  expect(
    epochs.map(([epoch, isFromAll]) => {
      answer(epoch, isFromAll)
      return state.latestEpoch
    }),
  ).toEqual([5, 5, 3])
})
