import { expect, test } from 'vitest'
import { expectSameAnswersOverHttp } from '../../support/policy-model/answers-over-http.ts'
import { expectSameAnswers } from '../../support/policy-model/expect-same-answers.ts'

const ROWS = Array.from({ length: 10 }, (_, at) => ({ files: 500, seed: 1600 + at }))

/** Limits a test that hangs; a busy machine needs minutes. */
const PATIENCE_MS = 900_000

// 200,000 cases in all.
test.for(ROWS)(
  '20,000 generated cases of seed $seed get the answers of a plain model',
  { timeout: PATIENCE_MS },
  (sample) => expect(expectSameAnswers(sample)['200 with identity']).toBeGreaterThan(1000),
)

test('the running service answers 12,000 requests for 100 generated files as a plain model', {
  timeout: PATIENCE_MS,
}, async () => {
  const given = await expectSameAnswersOverHttp({ files: 100, people: 3, requests: 30, seed: 17 })
  expect(given['200 with identity']).toBeGreaterThan(500)
})
