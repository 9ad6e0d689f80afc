import { randomInt } from 'node:crypto'
import { isFree } from './process.ts'

const FIRST = 20_000
const COUNT = 12_000
/** As many as run at the same time, of which each has ports of its own. */
const WORKERS = 2
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % WORKERS

/** What is free and has been given away may not be bound yet. */
const given = new Set<number>()

/**
 * A loopback port for a server that goes away and comes back: below those that the kernel gives to clients, or else a
 * client that tries again might take it, and even be connected to itself.
 */
export const steadyPort = async (): Promise<number> => {
  for (;;) {
    const port = FIRST + WORKERS * randomInt(COUNT / WORKERS) + worker
    if (given.has(port)) continue
    given.add(port)
    if (await isFree(port)) return port
  }
}
