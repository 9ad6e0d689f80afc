import { once } from 'node:events'
import { type Server as HttpServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { afterEach, expect, test } from 'vitest'
import type { StreamOutput } from '../../src/events/stream.ts'
import type { NodeEnv, Outgoing } from '../../src/http/request.ts'
import { createPlainServer } from '../../src/listener/limited-server.ts'
import { createStreamOutput } from '../../src/routes/events/stream-output.ts'

/** Exceeds what the system's buffers take. */
const MUCH = Array.from({ length: 512 }, () => new Uint8Array(64 * 1024).fill(0x2e))
const MUCH_BYTES = 512 * 64 * 1024
const opened: (() => unknown)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

/** Starts a server of the listener's own kind, whose limits are as short as Node allows. */
async function start() {
  const { promise: output, resolve } = Promise.withResolvers<StreamOutput>()
  const { promise: outgoing, resolve: begin } = Promise.withResolvers<Outgoing>()
  const app = new Hono<NodeEnv>().get('/', (c) => {
    const held = createStreamOutput(c.env.outgoing)
    begin(c.env.outgoing)
    resolve(held.output)
    return streamSSE(c, held.hold)
  })
  const answer = getRequestListener(app.fetch, { autoCleanupIncoming: false })
  const reports = { onUnwritten: () => undefined, onRefused: () => undefined }
  const { server } = createPlainServer(
    (incoming, outgoing) => void answer(incoming, outgoing),
    reports,
  )
  const http = server as HttpServer
  Object.assign(http, { keepAliveTimeout: 1, headersTimeout: 1, requestTimeout: 1 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(() => {
    http.closeAllConnections()
    return new Promise((closed) => server.close(closed))
  })
  return { output, outgoing, port: (server.address() as AddressInfo).port }
}

/** Opens a stream and stops reading after its head. */
async function open(port: number) {
  const asking = request({ port, host: '127.0.0.1', agent: false }).end()
  const [message] = (await once(asking, 'response')) as [IncomingMessage]
  message.on('error', () => undefined)
  opened.push(() => asking.destroy())
  return message
}

test('the head goes out before anything is written', async () => {
  const { port } = await start()
  expect((await open(port)).statusCode).toBe(200)
})

test('what the reader does not take is unread, until it does', async () => {
  const { output: made, port } = await start()
  const message = await open(port)
  const output = await made
  for (const bytes of MUCH) output.write(bytes)
  let isRead = false
  const reading = output.whenRead().then(() => {
    isRead = true
  })
  expect([isRead, output.unreadBytes > MUCH_BYTES / 2]).toEqual([false, true])
  let received = 0
  message.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  await reading
  await expect.poll(() => received).toBe(MUCH_BYTES)
  expect(output.unreadBytes).toBe(0)
})

test('an ended stream is complete, a destroyed one is not', async () => {
  for (const way of ['end', 'destroy'] as const) {
    const { output, port } = await start()
    const message = await open(port)
    message.resume()
    ;(await output)[way]()
    await new Promise((resolve) => message.once('close', resolve))
    expect(message.complete).toBe(way === 'end')
  }
})

test('a reader that leaves during a replay does not keep it waiting', async () => {
  const { output: made, port } = await start()
  const message = await open(port)
  const output = await made
  for (const bytes of MUCH) output.write(bytes)
  const reading = output.whenRead()
  message.destroy()
  await expect(reading).resolves.toBeUndefined()
})

test.for(['reads on', 'leaves'])('a reader that %s ends each wait for it', async (then) => {
  const { output: made, outgoing: writing, port } = await start()
  const message = await open(port)
  const [output, outgoing] = await Promise.all([made, writing])
  output.write(new Uint8Array(MUCH_BYTES))
  await expect.poll(() => outgoing.writableNeedDrain).toBe(true)
  const listening = () => outgoing.listenerCount('close') + outgoing.listenerCount('drain')
  const before = listening()
  const reading = Promise.all([output.whenRead(), output.whenRead()])
  await expect.poll(listening).toBe(before + 4)
  expect(output.unreadBytes, 'also what Node has taken').toBeGreaterThan(MUCH_BYTES / 2)
  if (then === 'leaves') message.destroy()
  else message.resume()
  await reading
  expect(listening()).toBeLessThanOrEqual(before)
})

test('a stream outlives the limits of the server, at which other connections end', async () => {
  const { output, port } = await start()
  const message = await open(port)
  const [idle, unfinished] = await Promise.all([
    speak(port, 'GET /none HTTP/1.1\r\nHost: a\r\n\r\n'),
    speak(port, 'GET / HTTP/1.1\r\nHost: a\r\n'),
  ])
  await Promise.all([once(idle, 'close'), once(unfinished, 'close')])
  const received = once(message, 'data') as Promise<[Buffer]>
  ;(await output).write(new TextEncoder().encode(':\n\n'))
  expect(`${(await received)[0]}`).toBe(':\n\n')
})

async function speak(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  opened.push(() => socket.destroy())
  socket.on('error', () => undefined).resume()
  await once(socket, 'connect')
  socket.write(text)
  return socket
}
