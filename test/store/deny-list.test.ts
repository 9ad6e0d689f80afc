import { createMemoryDenyList } from '../../src/store/memory/deny-list.ts'
import { describeDenyList } from './deny-list-contract.ts'

describeDenyList('memory', () => {
  let nowMs = 1_000_000
  return {
    subject: createMemoryDenyList(() => nowMs),
    elapse: (ms) => {
      nowMs += ms
      return Promise.resolve()
    },
  }
})
