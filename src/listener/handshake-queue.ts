import type { Socket } from 'node:net'
import { HANDSHAKES } from './limits.ts'

/** Lets a bounded number of TLS handshakes run together; further connections wait for their turn, which takes little memory. */
export interface HandshakeQueue {
  readonly add: (raw: Socket) => void
  /** Gives the place of a handshake that has ended to the next connection. */
  readonly end: (raw: Socket) => void
  readonly destroyWaiting: () => void
}

/**
 * Creates the queue. `start` begins a handshake; `drop` closes handshakes that are overdue while others wait, and waiting
 * connections that sent too much or, when too many wait, came first.
 */
export function createHandshakeQueue(
  start: (raw: Socket) => void,
  drop: (raws: readonly Socket[]) => void,
): HandshakeQueue {
  // Both in the order in which they began.
  const waiting = new Set<Socket>()
  const running = new Map<Socket, number>()
  // Measures time by looks, between which Node always reads: a busy process must not blame its clients.
  let looks = 0
  let nextLook: NodeJS.Timeout | undefined

  function add(raw: Socket): void {
    raw.once('close', () => {
      waiting.delete(raw)
      end(raw)
    })
    // A client may leave before TLS listens for errors, and one that nobody listens for would end the process.
    raw.on('error', () => undefined)
    waiting.add(raw)
    proceed()
  }

  function end(raw: Socket): void {
    if (running.delete(raw)) proceed()
  }

  function proceed(): void {
    for (const raw of waiting) {
      if (running.size >= HANDSHAKES.together) break
      waiting.delete(raw)
      if (raw.destroyed) continue
      running.set(raw, looks)
      start(raw)
    }
    if (waiting.size > 0) nextLook ??= setTimeout(look, HANDSHAKES.lookMs).unref()
  }

  function look(): void {
    nextLook = undefined
    looks += 1
    const overdue = [...running]
      .filter(([, startedAt]) => looks - startedAt > HANDSHAKES.undisturbedLooks)
      .map(([raw]) => raw)
    const lengthy = [...waiting].filter(({ bytesRead }) => bytesRead > HANDSHAKES.helloBytes)
    const surplus = [...waiting].slice(0, Math.max(0, waiting.size - HANDSHAKES.waiting))
    drop([...new Set([...overdue.slice(0, waiting.size), ...lengthy, ...surplus])])
    proceed()
  }

  function destroyWaiting(): void {
    for (const raw of waiting) raw.destroy()
  }

  return { add, end, destroyWaiting }
}
