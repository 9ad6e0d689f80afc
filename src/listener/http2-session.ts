import { constants, type Http2Session } from 'node:http2'
import { createBudget } from './budget.ts'
import { CONTROL_FRAMES, LIMITS, VOLUME } from './limits.ts'

/** HTTP/2 connection under the bounds that Node does not have. */
export interface BoundedSession {
  /** Looks whether the client has sent more than its requests need; called once a second. */
  checkVolume(): void
  /** Tells the client to open no more streams here; those that it opens nevertheless are answered. */
  sendAway(): void
  /** Takes no more streams, and ends when those under way are answered. */
  close(): void
}

const LAST_POSSIBLE_STREAM = 2 ** 31 - 1

/** Bounds an HTTP/2 connection and ends it, and only it, where its client exceeds a bound. */
export function boundSession(
  session: Http2Session,
  onFlood: (cause: string) => void,
): BoundedSession {
  const takeControlFrame = createBudget(CONTROL_FRAMES.burst, CONTROL_FRAMES.perSecond)
  let seen = { bytes: 0, streams: 0 }
  let isSentAway = false

  function end(cause: string): void {
    if (session.destroyed) return
    onFlood(cause)
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    session.destroy()
  }

  function countControlFrame(name: string): void {
    if (!takeControlFrame()) end(`too many ${name} frames`)
  }

  session.on('ping', () => countControlFrame('PING'))
  session.on('priority', () => countControlFrame('PRIORITY'))
  session.on('remoteSettings', () => countControlFrame('SETTINGS'))
  // A client that has said nothing is bounded like one that sends a head slowly.
  session.setTimeout(LIMITS.headersTimeout, () => session.destroy())
  session.once('remoteSettings', () => session.setTimeout(LIMITS.keepAliveTimeout))
  return {
    checkVolume() {
      if (session.destroyed) return
      const { lastProcStreamID = 0 } = session.state
      const now = { bytes: session.socket.bytesRead, streams: (lastProcStreamID + 1) / 2 }
      const allowed =
        VOLUME.bytesPerSecond + (now.streams - seen.streams) * VOLUME.bytesPerRequest
      if (now.bytes - seen.bytes > allowed) end('too many bytes that belong to no request')
      seen = now
    },
    sendAway() {
      if (isSentAway || session.destroyed || session.closed) return
      isSentAway = true
      session.goaway(constants.NGHTTP2_NO_ERROR, LAST_POSSIBLE_STREAM)
    },
    close: () => session.close(),
  }
}
