import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { IDLE } from '../../../src/listener/limits.ts'
import { listen } from '../../../src/listener/listen.ts'
import { openHttp2 } from '../../support/http2-client.ts'
import { sharedCredentials } from '../../support/internal-tls.ts'

const BEYOND_THE_BOUND = 20

async function openTls(port: number, path: string): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: v\r\n\r\n`)
  return socket
}

async function readAnswer(socket: TLSSocket): Promise<string> {
  const [chunk] = (await Promise.race([once(socket, 'data'), once(socket, 'close')])) as unknown[]
  return String(chunk)
}

test.for(['HTTP/1.1', 'HTTP/2'] as const)(
  'C63: a request under way over %s is answered, although idle connections are closed',
  async (protocol) => {
    const held = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const app = new Hono().get('/auth', async () => {
      begun.resolve()
      await held.promise
      return new Response(null, { status: 204 })
    })
    let closed = 0
    await using listener = await listenTo(app, (count) => {
      closed += count
    })
    await using client = await openHttp2(listener.port)
    const answered =
      protocol === 'HTTP/2'
        ? client.ask('/auth').then(({ status }) => String(status))
        : openTls(listener.port, '/auth').then(readAnswer)
    await begun.promise
    const idle = await Promise.all(
      Array.from({ length: IDLE.connections + BEYOND_THE_BOUND }, async () => {
        const socket = await openTls(listener.port, '/elsewhere')
        await readAnswer(socket)
        return socket
      }),
    )
    await expect.poll(() => closed).toBeGreaterThanOrEqual(BEYOND_THE_BOUND)
    // Longer than a connection that was chosen has to leave.
    await pause(2 * IDLE.leaveMs)
    held.resolve()
    expect(await answered).toContain('204')
    for (const socket of idle) socket.destroy()
  },
)

async function listenTo(app: Hono, onClosed: (count: number) => void) {
  const listener = await listen(app as never, {
    host: '127.0.0.1',
    port: 0,
    credentials: await sharedCredentials(),
    onRefused: ({ count = 0 }) => onClosed(count),
  })
  return { port: listener.port, [Symbol.asyncDispose]: () => listener.close(0) }
}
