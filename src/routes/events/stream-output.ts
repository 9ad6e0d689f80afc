import type { StreamingApi } from 'hono/utils/stream'
import type { StreamOutput } from '../../events/stream.ts'
import type { Outgoing } from '../../http/request.ts'

/** Output over Hono's stream, and the promise with which Hono's helper ends the answer. */
export interface HeldOutput {
  readonly output: StreamOutput
  readonly ended: Promise<void>
}

/** Creates the writing side of a stream. Unread is what waits in Hono's stream, and what Node could not send yet. */
export function createStreamOutput(stream: StreamingApi, outgoing: Outgoing): HeldOutput {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let waitingBytes = 0
  let lastWrite: Promise<unknown> = Promise.resolve()
  return {
    ended,
    output: {
      write(bytes) {
        waitingBytes += bytes.length
        lastWrite = stream.write(bytes).then(() => {
          waitingBytes -= bytes.length
        })
      },
      get unreadBytes() {
        return waitingBytes + outgoing.writableLength
      },
      async whenRead() {
        await lastWrite
        if (!outgoing.writableNeedDrain || outgoing.destroyed) return
        const { promise, resolve } = Promise.withResolvers<void>()
        outgoing.once('drain', resolve).once('close', resolve)
        await promise
      },
      end,
      destroy: () => void outgoing.destroy(),
    },
  }
}
