import { expect, test } from 'vitest'
import { expectSameAnswersOverHttp } from '../support/policy-model/answers-over-http.ts'

// More of them are asked by test/full/e2e/policy-model.test.ts.
test('the running service answers people with generated claims as a plain model', async () => {
  const given = await expectSameAnswersOverHttp({ files: 8, people: 3, requests: 12, seed: 16 })
  expect(given['200 with identity']).toBeGreaterThan(20)
})
