import { BUSY_MS, until, watchOwnLag } from './own-lag.ts'

/** Time within which a connection follows once another server has taken over. */
export const FOLLOWS_WITHIN_MS = 4000 + BUSY_MS

/**
 * Returns the milliseconds until `isServed`, from the takeover, which depends on Redis alone, and without the delay of
 * this process.
 */
export async function timeTakeover(
  event: () => Promise<unknown>,
  isTakenOver: () => Promise<boolean>,
  isServed: () => Promise<boolean>,
): Promise<number> {
  const lag = watchOwnLag()
  await event()
  let takenOverAtMs = Number.NaN
  const isSeen = () => {
    // Takes the time before the query, so that the result is never too short.
    takenOverAtMs = performance.now()
    return isTakenOver()
  }
  const seen = until('a server that has taken over', isSeen, 60_000)
  await until('writes at its successor', isServed, 60_000)
  const servedAtMs = performance.now()
  await seen
  return Math.max(0, servedAtMs - takenOverAtMs - lag.end())
}
