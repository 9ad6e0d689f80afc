import { randomInt } from 'node:crypto'
import { isFree } from './process.ts'

const FIRST = 20_000
const COUNT = 12_000
/** Number of test workers; each has a range of ports of its own. */
const WORKERS = 2
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % WORKERS

/** Ports that were given out and may not be bound yet. */
const given = new Set<number>()

/**
 * Returns a loopback port for a server that stops and comes back. It lies below the ephemeral ports, because a
 * client that retries could otherwise get the port, or even connect to itself.
 */
export const steadyPort = async (): Promise<number> => {
  for (;;) {
    const port = FIRST + WORKERS * randomInt(COUNT / WORKERS) + worker
    if (given.has(port)) continue
    given.add(port)
    if (await isFree(port)) return port
  }
}
