import { setImmediate as nextRound } from 'node:timers/promises'

/** Bounds the streams that are written to at once, because each takes about 35 µs (measured with Node 26) and checks wait meanwhile. */
const AT_ONCE = 50

/** Calls `act` for each item, and lets other work run after each portion. Items added meanwhile have their turn, too. */
export async function inTurns<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
  let acted = 0
  for (const item of items) {
    if (acted > 0 && acted % AT_ONCE === 0) await nextRound()
    act(item)
    acted++
  }
}
