import type { StreamingApi } from 'hono/utils/stream'
import type { StreamOutput } from '../../events/stream.ts'
import type { Outgoing } from '../../http/request.ts'

/** Output over Hono's stream, and the function that Hono's helper takes. */
export interface HeldOutput {
  readonly output: StreamOutput
  /** Writes to Hono's stream from now on; resolves when the output ends, by which Hono ends the answer. */
  readonly hold: (stream: StreamingApi) => Promise<void>
}

/** Creates the writing side of a stream. Unread is what waits in Hono's stream, and what Node could not send yet. */
export function createStreamOutput(outgoing: Outgoing): HeldOutput {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let stream: StreamingApi | undefined
  let waitingBytes = 0
  let lastWrite: Promise<void> | undefined
  return {
    hold(held) {
      stream = held
      return ended
    },
    output: {
      write(bytes) {
        waitingBytes += bytes.length
        lastWrite = stream?.write(bytes).then(() => {
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
        outgoing.off('drain', resolve).off('close', resolve)
      },
      end,
      destroy: () => void outgoing.destroy(),
    },
  }
}
