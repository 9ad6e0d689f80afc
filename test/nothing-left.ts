import { afterAll, expect } from 'vitest'
import { RUN_MARK } from '../stand-ins/process.ts'
import { killRunning, stillRunning } from '../stand-ins/process-guard.ts'
import { RUN_ID } from './support/left-behind.ts'
import { closeLeftOpen } from './support/left-open.ts'

// Children started from here on carry it; this process, which started without, does not.
process.env[RUN_MARK] = process.env[RUN_ID] ?? ''

/** A file that leaves something open fails and names it, and it does not live on. */
afterAll(async () => {
  const left = [...(await closeLeftOpen()), ...stillRunning()]
  killRunning()
  expect(left, 'left open by the tests of this file').toEqual([])
})
