import { describe } from 'vitest'
import { redisMissing } from './redis-home.ts'

const missing = await redisMissing()
if (missing !== undefined) process.stdout.write(`skipped: ${missing}\n`)

/** `describe` where a Redis of the test's own can be started; elsewhere its tests are skipped, and the reason is printed. */
export const describeWithRedis = describe.skipIf(missing !== undefined)
