import { describeModelled } from '../support/check-model/describe-modelled.ts'

describeModelled([
  ['memory', 1, 250],
  ['redis', 1, 250],
  ['hybrid', 1, 250],
  ['domain', 1, 250],
  ['untrusted', 1, 50],
  ['streams', 1, 150],
  ['lonely', 1, 100],
])
