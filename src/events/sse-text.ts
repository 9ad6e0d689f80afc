import type { EndReason } from '../core/end-reason.ts'
import type { EventId } from '../core/event-id.ts'

const encoder = new TextEncoder()

/** Comment that keeps proxies and clients from taking a stream for dead. */
export const COMMENT_BYTES = encoder.encode(':\n\n')

/** Returns an event as the client receives it; JSON has no line breaks, so its data is one line. */
export function eventBytes(name: string, data: unknown, id?: EventId): Uint8Array {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  return encoder.encode(`${idLine}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
}

/** Returns the first block of a stream: the time of a reconnect, and the position that the client names then. */
export function beginningBytes(retryMs: number, position: EventId | undefined): Uint8Array {
  const idLine = position === undefined ? '' : `id: ${position}\n`
  return encoder.encode(`retry: ${retryMs}\n${idLine}\n`)
}

/** Returns the block that sets the position alone. */
export function positionBytes(position: EventId): Uint8Array {
  return encoder.encode(`id: ${position}\n\n`)
}

/** Returns the block that sets the time after which the client comes back. */
export function retryBytes(retryMs: number): Uint8Array {
  return encoder.encode(`retry: ${retryMs}\n\n`)
}

export function endedBytes(reason: EndReason): Uint8Array {
  return eventBytes('session-ended', { reason })
}

export function renewedBytes(expiresInSeconds: number): Uint8Array {
  return eventBytes('session-renewed', { expires_in: expiresInSeconds })
}
