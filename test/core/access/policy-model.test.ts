import { expect, test } from 'vitest'
import { expectSameAnswers } from '../../support/policy-model/expect-same-answers.ts'

// 200,000 cases are asked by test/full/e2e/policy-model.test.ts.
test('4,000 generated cases of files, people and requests get the answers of a plain model', () => {
  const given = expectSameAnswers({ files: 100, seed: 16 })
  // Refusing everything would be no proof.
  expect(given['200 with identity']).toBeGreaterThan(200)
})
