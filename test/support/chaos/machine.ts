import { setTimeout as wait } from 'node:timers/promises'
import type { RunningRedis } from '../redis.ts'
import { MACHINE_BUSY } from './faults.ts'
import { startLagLog } from './lag-log.ts'
import { createTrouble } from './trouble.ts'

/** Wait above which a delay counts as caused by other load on the machine. */
const BUSY_MS = 250
const PING_EVERY_MS = 200
/** Closer to each other they are one time of being busy. */
const TOGETHER_MS = 2000

export function watchMachine() {
  let isOver = false
  let last: { readonly end: () => void; atMs: number } | undefined
  const note = (lateMs: number): void => {
    if (lateMs < BUSY_MS) return
    const nowMs = performance.now()
    if (!last || nowMs - lateMs > last.atMs + TOGETHER_MS)
      last = { end: trouble.begin(MACHINE_BUSY, undefined, nowMs - lateMs), atMs: nowMs }
    last.end()
    last.atMs = nowMs
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
    /** Asks Redis itself, beside all wires, how long it takes. */
    watchRedis: (redis: RunningRedis) => void ping(redis),
    [Symbol.dispose]: () => {
      isOver = true
      lag[Symbol.dispose]()
    },
  }
}
