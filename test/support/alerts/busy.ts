import { createSocket } from 'node:dgram'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RunningVestibule } from '../vestibule.ts'

const BLOCKING = pathToFileURL(join(import.meta.dirname, '../blocking.ts')).href

/** Settings of a replica whose event loop datagrams to this port keep busy. */
export const busy = (port: number) => ({
  NODE_OPTIONS: `--import ${BLOCKING}`,
  BLOCKING_PORTS: `${port}`,
})

/** Keeps the event loop busy several times; each lag but the last is noted for certain before this resolves. */
export async function keepBusy(port: number, ms: number, replica: RunningVestibule): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    const socket = createSocket('udp4')
    const sent = Promise.withResolvers<void>()
    socket.send(`${ms}`, port, '127.0.0.1', () => sent.resolve())
    await sent.promise
    socket.close()
    await replica.internal('/livez')
  }
}
