import { throughput } from './measure.ts'
import { reader } from './store.ts'
import { type Mode, storedSessions } from './stored-sessions.ts'

/** Result of one round: processor time for a read beside few sessions and beside many, and the memory of the many. */
export interface SizedRound {
  readonly fewMicros: number
  readonly manyMicros: number
  /** Resident bytes of each of many sessions in L1. */
  readonly bytesPerSession: number
}

const HOT = 100
const FEW = 1000

/**
 * Holds few and many sessions in one process and reads a hundred of each in turns, because two processes of the same
 * code differ more than the sizes do (C62). The arguments are mode, two addresses of Redis and the number of many.
 */
const [, , mode, fewUrl = '', manyUrl = '', many] = process.argv
const few = await hotReader(fewUrl, 0)
const beforeBytes = process.memoryUsage().rss
const large = await hotReader(manyUrl, mode === 'redis' ? 0 : Number(many))
const bytesPerSession = (process.memoryUsage().rss - beforeBytes) / Number(many)

process.on('message', (seconds: number) => {
  void round(seconds).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function hotReader(redisUrl: string, others: number): Promise<() => unknown> {
  const stored = await storedSessions(mode as Mode, redisUrl, Math.max(FEW, others))
  const credentials = await stored.signIn(FEW)
  stored.crowd(others - FEW)
  if (stored.cached() < others * 0.95)
    throw new Error(`only ${stored.cached()} sessions fit into L1`)
  // Reads them once, because the crowd was kept later and the least recently used go first.
  for (const credential of credentials) await stored.read(credential)
  return reader(stored.read, credentials.slice(-HOT))
}

async function round(seconds: number): Promise<SizedRound> {
  // Slices in turns, so that a change of the machine's speed meets both.
  const slices = 10
  const sums = { fewMicros: 0, manyMicros: 0 }
  for (let slice = 0; slice < slices; slice++) {
    sums.fewMicros += (await throughput(few, seconds / slices / 2)).cpuMicros / slices
    sums.manyMicros += (await throughput(large, seconds / slices / 2)).cpuMicros / slices
  }
  return { ...sums, bytesPerSession }
}
