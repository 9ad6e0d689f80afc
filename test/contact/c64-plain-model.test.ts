import { describeModelled } from '../support/check-model/describe-modelled.ts'

describeModelled([
  ['memory', 1, 700],
  ['redis', 1, 700],
  ['hybrid', 1, 700],
  ['domain', 1, 600],
  ['untrusted', 1, 100],
  ['streams', 1, 300],
  ['lonely', 1, 200],
])
