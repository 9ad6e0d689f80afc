import type { Socket } from 'node:net'
import { HANDSHAKES } from './limits.ts'

/** Lets a bounded number of TLS handshakes run together; further connections wait for their turn, without memory for TLS. */
export interface HandshakeQueue {
  readonly add: (raw: Socket) => void
  /** Gives the place of a handshake that has ended to the next connection. */
  readonly end: (raw: Socket) => void
  readonly destroyWaiting: () => void
}

/**
 * Creates the queue. `start` begins a handshake; `drop` closes connections that are overdue while others wait, or that
 * waited for longest when too many do.
 */
export function createHandshakeQueue(
  start: (raw: Socket) => void,
  drop: (raws: readonly Socket[]) => void,
): HandshakeQueue {
  // Both in the order in which they began.
  const waiting = new Set<Socket>()
  const startedAtMs = new Map<Socket, number>()
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
    if (startedAtMs.delete(raw)) proceed()
  }

  function proceed(): void {
    for (const raw of waiting) {
      if (startedAtMs.size >= HANDSHAKES.together) break
      waiting.delete(raw)
      startedAtMs.set(raw, performance.now())
      start(raw)
    }
    if (waiting.size > 0) nextLook ??= setTimeout(look, HANDSHAKES.lookMs).unref()
  }

  function look(): void {
    nextLook = undefined
    const nowMs = performance.now()
    const overdue = [...startedAtMs]
      .filter(([, startMs]) => nowMs - startMs > HANDSHAKES.undisturbedMs)
      .map(([raw]) => raw)
    const surplus = [...waiting].slice(0, Math.max(0, waiting.size - HANDSHAKES.waiting))
    const dropped = [...overdue.slice(0, waiting.size), ...surplus]
    if (dropped.length > 0) drop(dropped)
    proceed()
  }

  function destroyWaiting(): void {
    for (const raw of waiting) raw.destroy()
  }

  return { add, end, destroyWaiting }
}
