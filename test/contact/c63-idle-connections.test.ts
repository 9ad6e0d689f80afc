import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { expect, test, vi } from 'vitest'
import { IDLE, LIMITS } from '../../src/listener/limits.ts'
import { isOver, leave, surplusOf, type TlsConnection } from '../../src/listener/tls-connection.ts'
import { createTlsConnections } from '../../src/listener/tls-connections.ts'

const NOW_MS = 100_000

/** Connection that is silent for this long. */
function silentFor(silentMs: number, changes: Partial<TlsConnection> = {}): TlsConnection {
  return {
    raw: new Socket(),
    peer: '192.0.2.1',
    endsAtMs: Number.POSITIVE_INFINITY,
    underWay: 0,
    bytesSeen: 0,
    heardAtMs: NOW_MS - silentMs,
    isOutdated: false,
    ...changes,
  }
}

/** Session that has asked or not. */
function session(asked: boolean) {
  return { checkVolume: () => undefined, hasAsked: () => asked, close: vi.fn() }
}

const busy = () => silentFor(0)
const unasked = (silentMs = IDLE.unaskedMs + 1) => silentFor(silentMs, { session: session(false) })
const asked = (silentMs: number) => silentFor(silentMs, { session: session(true) })

/** Chooses from these beside as many busy ones as fill the bound but for `room`. */
function chosen(some: readonly TlsConnection[], room = 0) {
  const others = Array.from({ length: IDLE.connections - room }, busy)
  return surplusOf([...others, ...some], NOW_MS).map((each) => some.indexOf(each))
}

test.for([
  ['none while there is room', [asked(5000), unasked()], 2, []],
  ['those that never asked first', [asked(5000), unasked()], 1, [1]],
  ['then those that were silent for longest', [asked(2000), asked(5000), unasked()], 1, [2, 1]],
  ['none that spoke a moment before', [asked(IDLE.askedMs), unasked(IDLE.unaskedMs)], 0, []],
  [
    'none with a request under way',
    [silentFor(5000, { session: session(true), underWay: 1 })],
    0,
    [],
  ],
] as const)('C63: of too many connections are closed %s', ([, some, room, expected]) => {
  expect(chosen(some, room)).toEqual(expected)
})

test('C63: a connection over HTTP/2 ends at its age, or when it has said nothing for as long as Go keeps it', () => {
  const old = silentFor(0, { endsAtMs: NOW_MS })
  const [quiet, silent] = [asked(LIMITS.keepAliveTimeout), asked(LIMITS.keepAliveTimeout + 1)]
  const areOver = [old, quiet, silent].map((each) => isOver(each, NOW_MS))
  expect(areOver).toEqual([true, false, true])
})

test('C63: a connection that leaves already is neither chosen again nor counted', () => {
  const leaving = asked(5000)
  leave(leaving, 60_000)
  expect(chosen([leaving, asked(2000)], 1)).toEqual([])
  clearTimeout(leaving.leaving)
})

test('C63: a handshake that ends after its authority was replaced is refused and forgotten', () => {
  const raw = new Socket()
  const socket = Object.assign(new TLSSocket(raw), { _parent: raw })
  const connections = createTlsConnections(() => undefined, 60_000)
  connections.add(raw)
  connections.outdate()
  expect(connections.secure(socket)).toBeUndefined()
  expect(connections.isOutdated(socket)).toBe(true)
  socket.emit('close')
  expect(connections.remove(socket)).toBeUndefined()
})
