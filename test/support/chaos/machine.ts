import { setTimeout as wait } from 'node:timers/promises'
import type { RunningRedis } from '../redis.ts'
import { MACHINE_BUSY } from './faults.ts'
import { type LagLog, startLagLog } from './lag-log.ts'
import { createTrouble, type Trouble } from './trouble.ts'

/** Wait above which a delay counts as caused by other load on the machine. */
const BUSY_MS = 250
const PING_EVERY_MS = 200
/** Closer to each other they are one time of being busy. */
const TOGETHER_MS = 2000

/** Observations of the machine and of faults. */
export interface Machine extends Disposable {
  readonly lag: LagLog
  readonly trouble: Trouble
  /** Asks Redis itself, beside all wires, how long it takes. */
  readonly watchRedis: (redis: RunningRedis) => void
  /** How often it was busy. */
  readonly busy: () => number
}

export function watchMachine(): Machine {
  let busy = 0
  let isOver = false
  let last: { readonly end: () => void; readonly atMs: number } | undefined
  const note = (lateMs: number): void => {
    if (lateMs < BUSY_MS) return
    const nowMs = performance.now()
    const isOther = !last || nowMs - lateMs > last.atMs + TOGETHER_MS
    if (isOther) busy += 1
    const end = isOther || !last ? trouble.begin(MACHINE_BUSY, undefined, nowMs - lateMs) : last.end
    end()
    last = { end, atMs: nowMs }
  }
  const lag = startLagLog(note)
  const trouble = createTrouble(lag)
  const ping = async (redis: RunningRedis): Promise<void> => {
    while (!isOver) {
      const sentAtMs = performance.now()
      const isAnswered = await redis.cli('PING').then(
        () => true,
        () => false,
      )
      if (isAnswered) note(performance.now() - sentAtMs)
      await wait(PING_EVERY_MS)
    }
  }
  return {
    lag,
    trouble,
    watchRedis: (redis) => void ping(redis),
    busy: () => busy,
    [Symbol.dispose]: () => {
      isOver = true
      lag[Symbol.dispose]()
    },
  }
}
