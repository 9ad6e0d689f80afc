import { createServer } from 'node:http'
import type { BrowserContext, Page } from 'playwright-core'
import { expect } from 'vitest'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'
import { startStandIn } from '../../stand-ins/proxy/proxy.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { readMetric } from './outage.ts'
import { type Replicas, startReplicasInProcess } from './replicas.ts'
import { startRoundRobin } from './round-robin.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Records what the page is told; `?prevent` keeps it from being loaded again. */
const RECORDER = `
window.seen = []
for (const name of ['notice', 'session-renewed', 'session-ended'])
  addEventListener('vestibule:' + name, (event) => {
    if (location.search.includes('prevent')) event.preventDefault()
    seen.push([name, event.detail])
  })
addEventListener('pageshow', ({ persisted }) => { window.isRestored = persisted })
`
const STRICT_POLICY =
  "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

/** Events that a page was told, as pairs of a name and a detail. */
export type Seen = readonly (readonly [name: string, detail: unknown])[]

export type FollowedPages = Awaited<ReturnType<typeof startFollowedPages>>

const ADMIN_TOKEN = 'a token of thirty-two characters.'
const AUTHORIZED = { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' }

/**
 * Two replicas and an app at two hosts behind a stand-in for Traefik. Pages under `/public/` need no session; each
 * loads client.js from `scriptOrigin`, by default from its own host.
 */
export async function startFollowedPages(
  settingsOf: (port: number) => Readonly<Record<string, string>> = () => ({}),
  scriptOrigin = '',
) {
  const started = new AsyncDisposableStack()
  const port = await steadyPort()
  const [app, other, auth] = ['app', 'other', 'auth'].map(
    (name) => `http://${name}.shop.localhost:${port}`,
  ) as [string, string, string]
  const replicas: Replicas = started.use(
    await startReplicasInProcess({
      count: 2,
      settings: { PROTECTED_HOSTS: `${app},${other}`, ADMIN_TOKEN, ...settingsOf(port) },
      provider: { origins: [app, other, auth] },
    }),
  )
  const [first, second] = replicas.all as [RunningVestibule, RunningVestibule]
  const way = started.use(await startRoundRobin([first.publicPort]))
  /** Loads of each page, by its path and query. */
  const loads = new Map<string, number>()
  const pages = createServer(({ url = '' }, response) => {
    if (url === '/public/recorder.js') {
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(RECORDER)
      return
    }
    loads.set(url, (loads.get(url) ?? 0) + 1)
    const policy = url.includes('strict') ? { 'Content-Security-Policy': STRICT_POLICY } : {}
    const origin = scriptOrigin && `${scriptOrigin}:${port}`
    const script = `<script src="${origin}/oauth2/client.js" async></script>`
    response
      .writeHead(200, { 'Content-Type': 'text/html', ...policy })
      .end(
        `<!doctype html><title>Page</title><h1>Page</h1><script src="/public/recorder.js"></script>${url.includes('twice') ? script : ''}${script}`,
      )
  })
  const pagesPort = await listenOn(pages)
  started.defer(() => closeServer(pages))
  const hosts = ['app', 'other', 'auth'].map((name) => `${name}.shop.localhost`)
  const forwardAuth = { address: `http://127.0.0.1:${first.internalPort}/auth` }
  const backend = `http://127.0.0.1:${pagesPort}`
  started.use(
    await startStandIn({
      port,
      routes: hosts.flatMap((host) => [
        { host, backend, forwardAuth },
        { host, pathPrefix: '/oauth2/', backend: `http://127.0.0.1:${way.port}` },
      ]),
    }),
  )
  const admin = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${first.internalPort}/admin${path}`, {
      method,
      headers: AUTHORIZED,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    expect(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`).toBe(true)
  }
  const streams = (replica: RunningVestibule) => readMetric(replica, 'vestibule_event_streams')
  return {
    app,
    other,
    first,
    second,
    provider: replicas.provider,
    loads,
    signIn: async (context: BrowserContext, sub = 'alice'): Promise<void> => {
      // The provider would sign in whom it knows without asking.
      await context.clearCookies()
      const page = await context.newPage()
      await page.goto(`${app}/signed-in`)
      await page.locator(`button[value="${sub}"]`).click()
      await page.waitForURL(`${app}/signed-in`)
      await page.close()
    },
    /** Sends a notice to all pages. */
    notify: (data: unknown) => admin('POST', '/broadcast', { event: 'notice', data }),
    endAll: () => admin('DELETE', '/sessions?all=true'),
    streams,
    /** Waits until so many streams are open at a replica. */
    untilStreams: (count: number, replica = first) =>
      expect.poll(() => streams(replica)).toBe(count),
    /** Passes later connections on to this replica, and closes those that are open. */
    lead: (replica: RunningVestibule) => way.lead([replica.publicPort]),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}

/** Returns what a page has been told so far. */
export const seenBy = (page: Page): Promise<Seen> => page.evaluate('window.seen')
