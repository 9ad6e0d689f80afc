import { describeModelled } from '../support/check-model/describe-modelled.ts'

describeModelled([
  ['memory', 1, 250],
  ['redis', 1, 150],
  ['hybrid', 1, 150],
  ['domain', 1, 250],
  ['untrusted', 1, 50],
  ['http2', 1, 100],
  ['outage', 1, 50],
])
