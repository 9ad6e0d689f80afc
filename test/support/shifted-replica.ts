import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ReplicaProcesses } from './replicas.ts'
import { addDirectly } from './stored-session.ts'
import type { VestibuleProcess } from './vestibule-process.ts'

const PRELOAD = pathToFileURL(join(import.meta.dirname, 'shifted-clock.ts')).href

export const clockAhead = (ms: number): Readonly<Record<string, string>> => ({
  NODE_OPTIONS: `--import ${PRELOAD}`,
  CLOCK_AHEAD_MS: `${ms}`,
})

export const addShifted = (
  replicas: ReplicaProcesses,
  aheadMs: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<VestibuleProcess> => addDirectly(replicas, { ...clockAhead(aheadMs), ...settings })
