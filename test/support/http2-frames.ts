import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

/** Types and flags of HTTP/2 frames (RFC 9113 section 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const
export const END_STREAM = 1
export const END_HEADERS = 4
const ACKNOWLEDGEMENT = 1

/** One frame, byte for byte. */
export function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Frames are repeated as often as an attack needs. */
export function repeated(count: number, make: (at: number) => Buffer) {
  return Buffer.concat(Array.from({ length: count }, (_, at) => make(at)))
}

/** A header block in HPACK: literals without indexing. */
export function block(headers: readonly (readonly [name: string, value: string])[]) {
  return Buffer.concat(
    headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  )
}

/** The pseudo-headers of a GET. */
export function requestBlock(path = '/auth', further: readonly (readonly [string, string])[] = []) {
  const pseudo = { ':method': 'GET', ':scheme': 'https', ':path': path, ':authority': 'v' }
  return block([...Object.entries(pseudo), ...further])
}

function text(value: string) {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(FRAME.settings, 0, 0),
])

export interface RawSession extends AsyncDisposable {
  readonly socket: TLSSocket
  /** Resolves when the bytes are taken, or when the connection has ended. */
  readonly send: (bytes: Buffer) => Promise<void>
  /** Types of the frames that came, each with its payload. */
  readonly frames: () => readonly { type: number; stream: number; payload: Buffer }[]
  readonly isClosed: () => boolean
  readonly closed: Promise<void>
}

/** A connection over which a test writes frames by hand, behind the preface and the acknowledgement of the settings. */
export async function openRawSession(port: number, isAcknowledging = true): Promise<RawSession> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  })
  await once(socket, 'secureConnect')
  let received = Buffer.alloc(0)
  const closed = Promise.withResolvers<void>()
  socket
    .on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
    })
    .on('error', () => undefined)
    .on('close', () => closed.resolve())
  const send = async (bytes: Buffer): Promise<void> => {
    if (socket.destroyed || !socket.writable) return
    if (!socket.write(bytes)) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed.promise])
    }
  }
  await send(PREFACE)
  while (isAcknowledging && received.length < 9) {
    await Promise.race([once(socket, 'data'), closed.promise])
    if (socket.destroyed) break
  }
  if (isAcknowledging) await send(frame(FRAME.settings, ACKNOWLEDGEMENT, 0))
  return {
    socket,
    send,
    frames: () => framesIn(received),
    isClosed: () => socket.destroyed || socket.readableEnded,
    closed: closed.promise,
    [Symbol.asyncDispose]: async () => {
      socket.destroy()
      await closed.promise
    },
  }
}

function framesIn(bytes: Buffer) {
  const frames: { type: number; stream: number; payload: Buffer }[] = []
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    const payload = bytes.subarray(at + 9, at + 9 + length)
    frames.push({ type: bytes.readUInt8(at + 3), stream: bytes.readUInt32BE(at + 5), payload })
    at += 9 + length
  }
  return frames
}
