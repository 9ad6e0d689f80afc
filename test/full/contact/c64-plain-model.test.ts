import { describeModelled } from '../../support/check-model/describe-modelled.ts'

// 110,000 requests, each of them asked twice.
describeModelled([
  ['memory', 5, 5000],
  ['redis', 5, 5000],
  ['hybrid', 5, 5000],
  ['domain', 3, 5000],
  ['untrusted', 1, 2000],
  ['http2', 2, 5000],
  ['outage', 2, 4000],
])
