import { describe } from 'vitest'
import { redisMissing } from './redis-home.ts'

const missing = await redisMissing()
if (missing !== undefined) process.stdout.write(`skipped: ${missing}\n`)

/** Runs its tests where a Redis can be started; elsewhere skips them and prints the reason. */
export const describeWithRedis = describe.skipIf(missing !== undefined)
