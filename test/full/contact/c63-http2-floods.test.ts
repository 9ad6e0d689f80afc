import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { openHttp2 } from '../../support/http2-client.ts'
import {
  block,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  openRawSession,
  type RawSession,
  repeated,
  requestBlock,
} from '../../support/http2-frames.ts'
import { sharedTlsFiles } from '../../support/internal-tls.ts'
import { countEvents } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { manifestLimits, residentBytes } from '../../support/resident.ts'
import { startVestibuleProcess } from '../../support/vestibule-process.ts'

const ALL = END_STREAM | END_HEADERS
const headers = (id: number, flags: number = ALL) => frame(FRAME.headers, flags, id, requestBlock())
/** First byte of an answer with this status, which is in the table of HPACK. */
const STATUS_200 = 0x88
const number = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value])
const CANCEL = number(8)
const id = (at: number) => 1 + 2 * at

/** Sends the frames of an attack in pieces, until they are all sent or the connection is closed. */
function flood(count: number, make: (at: number) => Buffer, first = Buffer.alloc(0)) {
  return async (session: RawSession) => {
    await session.send(first)
    for (let at = 0; at < count && !session.isClosed(); at += 100) {
      await session.send(repeated(100, (each) => make(at + each)))
    }
  }
}

/** One header of 4 KB that enters the table of HPACK, and a block that names it again and again. */
const LARGE = Buffer.concat([Buffer.from([0x40, 1, 0x61, 127, 0x81, 0x1e]), Buffer.alloc(3968, 97)])
const NAMED = Buffer.alloc(16_000, 0xbe)

const ATTACKS: readonly (readonly [string, (session: RawSession) => Promise<void>])[] = [
  [
    'rapid resets (CVE-2023-44487)',
    flood(5000, (at) => Buffer.concat([headers(id(at)), frame(FRAME.reset, 0, id(at), CANCEL)])),
  ],
  [
    'resets that it makes us send (CVE-2025-8671)',
    flood(5000, (at) =>
      Buffer.concat([
        headers(id(at), END_HEADERS),
        frame(FRAME.windowUpdate, 0, id(at), number(0)),
      ]),
    ),
  ],
  [
    'CONTINUATION frames without end',
    flood(5000, () => frame(FRAME.continuation, 0, 1), headers(1, END_STREAM)),
  ],
  [
    'CONTINUATION frames with headers',
    flood(5000, () => frame(FRAME.continuation, 0, 1, block([['a', 'b']])), headers(1, END_STREAM)),
  ],
  ['SETTINGS frames', flood(20_000, () => frame(FRAME.settings, 0, 0))],
  [
    'a SETTINGS frame of 1,000 entries',
    flood(100, () =>
      frame(
        FRAME.settings,
        0,
        0,
        repeated(1000, () => Buffer.from([0, 3, 0, 0, 0, 100])),
      ),
    ),
  ],
  ['acknowledgements that nobody asked for', flood(20_000, () => frame(FRAME.settings, 1, 0))],
  ['PING frames', flood(20_000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)))],
  [
    'PRIORITY frames',
    flood(20_000, () => frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1]))),
  ],
  ['WINDOW_UPDATE frames', flood(200_000, () => frame(FRAME.windowUpdate, 0, 0, number(1)))],
  ['frames of an unknown type', flood(200_000, () => frame(0x77, 0, 0, Buffer.alloc(8)))],
  ['empty DATA frames', flood(20_000, () => frame(FRAME.data, 0, 1), headers(1, END_HEADERS))],
  ['empty HEADERS frames', flood(20_000, (at) => frame(FRAME.headers, ALL, id(at)))],
  [
    'requests that are malformed',
    flood(5000, (at) => frame(FRAME.headers, ALL, id(at), block([['Bad Name', 'x']]))),
  ],
  [
    'small blocks that become large ones (HPACK)',
    flood(
      1000,
      (at) => frame(FRAME.headers, ALL, id(at + 1), Buffer.concat([requestBlock(), NAMED])),
      frame(FRAME.headers, ALL, 1, Buffer.concat([requestBlock(), LARGE])),
    ),
  ],
  [
    'more streams at once than it may',
    flood(5000, (at) =>
      frame(FRAME.headers, END_HEADERS, id(at), requestBlock('/admin/denied-tokens')),
    ),
  ],
  ['no HTTP/2 at all', flood(100, () => Buffer.alloc(100, 255))],
]

describe('C63: an HTTP/2 attack', () => {
  const vestibule = prepared(async () => {
    const { settings } = await sharedTlsFiles()
    const { settings: limited } = manifestLimits()
    return startVestibuleProcess({ ...settings, ...limited, ADMIN_TOKEN: 'a'.repeat(32) })
  })

  test.for(ATTACKS)(
    'by %s costs its client the connection, is told once and harms nobody else',
    async ([, attack]) => {
      const { internalPort } = vestibule()
      const before = countEvents(vestibule(), 'connection_refused')
      await using other = await openHttp2(internalPort)
      await using session = await openRawSession(internalPort)
      await attack(session)
      // Sooner than a silent connection ends by itself.
      await expect.poll(session.isClosed).toBe(true)
      expect((await other.ask('/livez')).status).toBe(200)
      await until('a line', () => countEvents(vestibule(), 'connection_refused') > before)
      const line = vestibule()
        .log()
        .findLast(({ event }) => event === 'connection_refused')
      expect(line).toMatchObject({ code: 'http2', peer: '127.0.0.1' })
      expect(countEvents(vestibule(), 'connection_refused')).toBe(before + 1)
    },
  )

  test('64 KiB of headers pass in part only where they fit, acknowledged or not', async () => {
    for (const isAcknowledged of [false, true]) {
      await using session = await openRawSession(vestibule().internalPort, isAcknowledged)
      const asked = async (stream: number, count: number) => {
        const padding = Array.from(
          { length: count },
          (_, at) => [`x-${at}`, 'p'.repeat(1000)] as const,
        )
        const bytes = requestBlock('/livez', padding)
        for (let at = 0; at < bytes.length; at += 16_000) {
          const isLast = at + 16_000 >= bytes.length
          const flags = (at === 0 ? END_STREAM : 0) | (isLast ? END_HEADERS : 0)
          const type = at === 0 ? FRAME.headers : FRAME.continuation
          await session.send(frame(type, flags, stream, bytes.subarray(at, at + 16_000)))
        }
        const answered = () => session.frames().find((each) => each.stream === stream)
        await until('an answer', () => answered() !== undefined)
        return answered()
      }
      expect((await asked(1, 58))?.type).toBe(FRAME.headers)
      const refused = await asked(3, 66)
      const isOk = refused?.type === FRAME.headers && refused.payload[0] === STATUS_200
      expect([refused?.type === FRAME.reset, isOk]).toEqual([isAcknowledged, false])
    }
  })

  test('5,000 idle connections leave room for others, in memory too', async () => {
    const { internalPort } = vestibule()
    const before = countEvents(vestibule(), 'connection_refused')
    await using other = await openHttp2(internalPort)
    expect((await other.ask('/livez')).status).toBe(200)
    const sockets: Socket[] = []
    const opened = (at: number) =>
      new Promise<void>((resolve) => {
        const options = { port: internalPort, host: '127.0.0.1', rejectUnauthorized: false }
        const socket = at % 2 ? connectPlain(options, resolve) : connectTls(options, resolve)
        sockets.push(socket.on('error', () => resolve()))
      })
    for (let at = 0; at < 5000; at += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, each) => opened(at + each)))
      if (at % 1000 === 0) expect((await other.ask('/auth')).status).toBe(400)
    }
    const left = () => sockets.filter(({ destroyed }) => !destroyed).length
    await until('few idle connections', () => left() <= 600, 30_000)
    expect((await other.ask('/livez')).status).toBe(200)
    await until('a line', () => countEvents(vestibule(), 'connection_refused') > before)
    expect(residentBytes(vestibule().pid).peak).toBeLessThan(manifestLimits().limitBytes)
    for (const socket of sockets) socket.destroy()
  })
})
