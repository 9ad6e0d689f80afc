import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { print } from '../../support/printed.ts'
import { type Return, type RoundResult, startRenewalRounds } from '../../support/renewal-rounds.ts'

const RETURNS: Readonly<Record<string, Return>> = {
  'all at once': { laterMs: [0, 0, 0] },
  'one after the other': { laterMs: [3000, 0, 1500] },
  'a new one is started while Redis is away': { laterMs: [1500, 3000, 3000], newcomerMs: -1500 },
  'a new one is started just after': { laterMs: [3000, 3000, 2000], newcomerMs: 0 },
  'one has a wire that is cut for much longer': { laterMs: [20_000, 0, 1000] },
}
const ROUND_WITHIN_MS = 90_000

describeWithRedis('C65: Redis dies with twelve renewals under way', () => {
  // Two at a time: each length of the outage has replicas of its own, and most of it is waiting.
  test.concurrent.for([
    [2, 40],
    [8, 13],
  ])(
    'away for %i s and %i s, in every order of return: nobody is signed out, nothing is refused',
    { timeout: 10 * ROUND_WITHIN_MS },
    async (lengths) => {
      await using rounds = await startRenewalRounds()
      const results: (RoundResult & { readonly round: string })[] = []
      for (const seconds of lengths) {
        for (const [how, back] of Object.entries(RETURNS)) {
          const result = await rounds.run(seconds * 1000, back)
          const round = `${seconds} s, ${how}`
          results.push({ round, ...result })
          print(`C65 ${round}: ${JSON.stringify(result)}`)
        }
      }
      const calm = { signedOut: 0, refused: 0, requests: 12, refreshed: 12 }
      expect(results).toEqual(results.map(({ round }) => ({ round, ...calm })))
    },
  )
})
