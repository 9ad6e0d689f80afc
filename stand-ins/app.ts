import { createHash } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { html, raw } from 'hono/html'
import { streamSSE } from 'hono/streaming'
import { appScript } from './app-script.ts'
import { closeServer, listenOn } from './network/server.ts'
import { page } from './page.ts'

export interface RunningApp extends AsyncDisposable {
  readonly url: string
  readonly close: () => Promise<void>
}

/** Starts a protected app that identifies visitors by the headers it receives and shows all of them. */
export const startApp = async (): Promise<RunningApp> => {
  const app = createApp()
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server
  const upgraded = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket)).on('error', () => socket.destroy())
    greetOverWebSocket(request, socket)
  })
  const port = await listenOn(server)
  const close = () => closeServer(server, upgraded)
  return { url: `http://127.0.0.1:${port}`, close, [Symbol.asyncDispose]: close }
}

type AppContext = Context<{ Bindings: HttpBindings }>

const createApp = () => {
  const app = new Hono<{ Bindings: HttpBindings }>()

  app.get('/headers', (context) => context.json(received(context)))

  app.all('/echo', async (context) =>
    context.json({ ...received(context), body: await context.req.text() }),
  )

  app.get('/set-cookie', (context) => {
    const { name = 'app', value = '1' } = context.req.query()
    context.header('Set-Cookie', `${name}=${value}; Path=/`, { append: true })
    context.header('Set-Cookie', `${name}-2=${value}; Path=/; HttpOnly`, { append: true })
    return context.json(received(context))
  })

  app.get('/slow', async (context) => {
    await wait(Number(context.req.query('ms') ?? 1000))
    return context.json(received(context))
  })

  app.get('/events', (context) =>
    streamSSE(context, async (stream) => {
      for (let id = 1; id <= 3 && !stream.aborted; id += 1) {
        await stream.writeSSE({ id: String(id), data: `tick ${id}` })
        await stream.sleep(50)
      }
    }),
  )

  app.all('*', (context) =>
    context.req.header('accept')?.includes('text/html')
      ? context.html(visitorPage(context))
      : context.json(received(context)),
  )

  return app
}

/** Returns the raw request, with duplicates and spelling of headers. */
const received = (context: AppContext) => {
  const { method, url, rawHeaders } = context.env.incoming
  return { method, url, headers: headerPairs(rawHeaders) }
}

const headerPairs = (rawHeaders: readonly string[]): readonly (readonly [string, string])[] =>
  rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name, utf8(rawHeaders[index + 1] ?? '')] as const] : [],
  )

/** Decodes UTF-8 from a header, whose bytes Node reads as Latin-1. */
const utf8 = (value: string): string => Buffer.from(value, 'latin1').toString('utf8')

const visitorPage = (context: AppContext) => {
  const { method, url, headers } = received(context)
  const given = (claim: string): string =>
    headers.find(([name]) => name.toLowerCase() === `x-auth-request-${claim}`)?.[1] ?? ''
  const name = given('name') || given('preferred-username') || given('user')
  return page(
    'Protected application',
    html`<h1>${name ? html`Hello, ${name}` : html`Hello, whoever you are`}</h1>
<p id="banner" class="banner" role="alert" hidden></p>
<p class="soft">This application has no sign-in of its own. It believes the headers that came with <code>${method} ${url}</code>.</p>
<dl>
<dt class="soft">User</dt><dd>${given('user') || '–'}</dd>
<dt class="soft">E-mail</dt><dd>${given('email') || '–'}</dd>
<dt class="soft">Groups</dt><dd>${given('groups') || '–'}</dd>
</dl>
<p id="session" hidden>Your session ends in <span id="time-left"></span>. <a href="/oauth2/sessions">All your sessions</a></p>
<form id="sign-out" class="actions" method="post" action="/oauth2/logout"><button class="main">Sign out</button></form>
<h2>Notices</h2>
<p id="no-notice" class="soft">None yet. Every open page shows one as it is sent.</p>
<ul id="notices" role="log"></ul>
<script src="/oauth2/client.js" defer></script>
<script>${raw(appScript)}</script>
<h2>All headers received</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Header</th><th scope="col">Value</th></tr></thead>
<tbody>${headers.map(([header, value]) => html`<tr><td><code>${header}</code></td><td>${value}</td></tr>`)}</tbody>
</table></div>`,
  )
}

const MAX_SHORT_FRAME_BYTES = 125
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const greetOverWebSocket = (request: IncomingMessage, socket: Duplex): void => {
  const key = request.headers['sec-websocket-key']
  if (!key) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    return
  }
  const accept = createHash('sha1')
    .update(key + WEBSOCKET_GUID)
    .digest('base64')
  const user = String(request.headers['x-auth-request-user'] ?? '')
  const greeting = Buffer.from(`hello ${user}`, 'latin1').subarray(0, MAX_SHORT_FRAME_BYTES)
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
      '\r\n',
    ].join('\r\n'),
  )
  socket.write(Buffer.concat([Buffer.from([0x81, greeting.length]), greeting]))
}
