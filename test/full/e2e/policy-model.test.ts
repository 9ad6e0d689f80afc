import { expect, test } from 'vitest'
import { expectSameAnswersOverHttp } from '../../support/policy-model/answers-over-http.ts'

test('the running service answers 12,000 requests for 100 generated files as a plain model', async () => {
  const given = await expectSameAnswersOverHttp({ files: 100, people: 3, requests: 30, seed: 17 })
  expect(given['200 with identity']).toBeGreaterThan(500)
})
