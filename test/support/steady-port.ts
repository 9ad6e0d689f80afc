import { randomInt } from 'node:crypto'
import { isFree } from '../../demo/process.ts'

/**
 * A loopback port for a server that goes away and comes back: below those that the kernel gives to clients, or else a
 * client that tries again might take it, and even be connected to itself.
 */
export const steadyPort = async (): Promise<number> => {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    if (await isFree(port)) return port
  }
}
