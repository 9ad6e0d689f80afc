import { timed } from './own-lag.ts'
import { until } from './redis-state.ts'

/** Prints a measurement, which stands in the log of the run. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Waits until the condition holds, and prints how many milliseconds that took. */
export async function printUntil(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs?: number,
): Promise<number> {
  const { ms } = await timed(until(what, isSo, withinMs))
  print(`${what}: after ${ms.toFixed(0)} ms`)
  return ms
}
