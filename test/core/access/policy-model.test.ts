import { expect, test } from 'vitest'
import { expectSameAnswers } from '../../support/policy-model/expect-same-answers.ts'

test('generated files, people and requests get the answers of a plain model', () => {
  const answers = expectSameAnswers({ files: Number(process.env['FILES'] ?? 300), seed: Number(process.env['SEED'] ?? 1) })
  console.log(answers)
  expect(answers.get('200 named')).toBeGreaterThan(50)
})
