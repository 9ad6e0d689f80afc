import {
  constants,
  type Http2ServerRequest,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { CONTROL_FRAMES, HTTP2_LIMITS, LIMITS, RESETS, VOLUME } from './limits.ts'
import { createTokenBucket } from './token-bucket.ts'

/** HTTP/2 connection under the bounds that Node does not have. */
export interface BoundedSession {
  /** Ends the connection of a client that has sent more than its requests need; called once a second. */
  checkVolume(): void
  hasAsked(): boolean
  /** Sends GOAWAY, which names the last stream that is answered; clients ask for later ones again elsewhere. */
  close(): void
}

export interface SessionReports {
  readonly onRefused: (cause: string) => void
  /** Asks that the connection ends with its streams under way. */
  readonly onTooMany: () => void
}

/** Bounds an HTTP/2 connection; the client that exceeds a bound loses this connection and no other. */
export function boundSession(
  session: Http2Session,
  { onRefused, onTooMany }: SessionReports,
): BoundedSession {
  const takeControlFrame = createTokenBucket(CONTROL_FRAMES.burst, CONTROL_FRAMES.perSecond)
  const takeReset = createTokenBucket(RESETS.burst, RESETS.perSecond)
  let requests = 0
  let seen = { bytes: 0, streams: 0, requests: 0 }
  let isTold = false

  function tell(cause: string): void {
    if (!isTold) onRefused(cause)
    isTold = true
  }

  /** Lets the other streams finish, because strangers behind Traefik can bring about what is counted here. */
  function leave(cause: string): void {
    if (session.closed) return
    tell(cause)
    onTooMany()
  }

  function countReset(this: ServerHttp2Stream): void {
    const isReset = this.rstCode !== constants.NGHTTP2_NO_ERROR
    if (isReset && !takeReset()) leave('too many resets of streams')
  }

  function end(cause: string): void {
    if (session.destroyed) return
    tell(cause)
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    session.destroy()
  }

  function countControlFrame(name: string): void {
    if (!takeControlFrame()) end(`too many ${name} frames`)
  }

  function checkVolume(): void {
    if (session.destroyed) return
    const { lastProcStreamID = 0 } = session.state
    const { bytesRead } = session.socket
    const now = { bytes: bytesRead, streams: (lastProcStreamID + 1) / 2, requests }
    const streams = now.streams - seen.streams
    const allowedBytes = VOLUME.bytesPerSecond + streams * VOLUME.bytesPerRequest
    const refused = streams - (now.requests - seen.requests)
    if (now.bytes - seen.bytes > allowedBytes) end('too many bytes that belong to no request')
    else if (refused > VOLUME.refusedRequests) leave('too many requests with too large headers')
    seen = now
  }

  session.on('stream', (stream: ServerHttp2Stream) => {
    requests += 1
    stream.once('close', countReset)
  })
  session.on('ping', () => countControlFrame('PING'))
  session.on('priority', () => countControlFrame('PRIORITY'))
  session.on('remoteSettings', () => countControlFrame('SETTINGS'))
  // Demands the acknowledgement, because our settings hold for a client only from then on.
  const unacknowledged = setTimeout(end, LIMITS.headersTimeout, 'no SETTINGS acknowledgement')
  unacknowledged.unref()
  session.once('localSettings', () => clearTimeout(unacknowledged))
  session.once('close', () => clearTimeout(unacknowledged))
  session.once('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code !== undefined && BROKEN.has(code)) tell(CAUSE[message] ?? message)
  })
  return {
    checkVolume,
    hasAsked: () => requests > 0,
    close: () => session.close(),
  }
}

/** Codes of Node and nghttp2 for a client that broke a rule; others are those of a client that has left. */
const BROKEN: ReadonlySet<string> = new Set([
  'ERR_HTTP2_ERROR',
  'ERR_HTTP2_TOO_MANY_INVALID_FRAMES',
])

/** Meaning of texts of nghttp2 that say too little. */
const CAUSE: Readonly<Record<string, string>> = {
  'Protocol error': 'a rule was broken, or too many frames or resets came at once',
  'The user callback function failed': 'too many streams were opened at once',
}

/** Returns whether the headers of a request exceed the bound that Node holds only behind the acknowledgement. */
export function hasTooLargeHead({ rawHeaders, stream }: Http2ServerRequest): boolean {
  if (!stream.session?.pendingSettingsAck) return false
  let bytes = rawHeaders.length * (HEADER_OVERHEAD_BYTES / 2)
  for (const text of rawHeaders) bytes += text.length
  return bytes > HTTP2_LIMITS.settings.maxHeaderListSize
}

/** Bytes that each header counts beside its own (RFC 9113 section 6.5.2). */
const HEADER_OVERHEAD_BYTES = 32
