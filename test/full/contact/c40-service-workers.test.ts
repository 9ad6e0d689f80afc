import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeServer, listenOn } from '../../../stand-ins/network/server.ts'
import { startStandInGateway } from '../../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { authResponseHeaders } from '../../../stand-ins/vestibule.ts'
import { chromiumMissing, launchChromium } from '../../support/chromium.ts'
import { prepared } from '../../support/prepared.ts'
import { startRelyingParty } from '../../support/relying-party.ts'

const ALIVE = `
  addEventListener('install', () => skipWaiting())
  addEventListener('activate', (event) => event.waitUntil(clients.claim()))`
const PRELOADING = `
  addEventListener('activate', (event) => event.waitUntil(registration.navigationPreload.enable()))`

/** Service workers by name; `seen` is what Chromium then sends with a navigation. */
const WORKERS = {
  'passes everything on': {
    seen: 'navigate/empty',
    script: `${ALIVE}
      addEventListener('fetch', (event) => event.respondWith(fetch(event.request)))`,
  },
  'is network-first with a cache': {
    seen: 'navigate/empty',
    script: `${ALIVE}
      const answer = async (request) => {
        try {
          const response = await fetch(request)
          if (response.ok) await (await caches.open('v1')).put(request, response.clone())
          return response
        } catch {
          return caches.match(request)
        }
      }
      addEventListener('fetch', (event) => {
        if (event.request.method === 'GET') event.respondWith(answer(event.request))
      })`,
  },
  'preloads navigations': {
    seen: 'navigate/document',
    script: `${ALIVE}${PRELOADING}
      const answer = async (event) => (await event.preloadResponse) ?? fetch(event.request)
      addEventListener('fetch', (event) => {
        if (event.request.mode === 'navigate') event.respondWith(answer(event))
      })`,
  },
} as const

/** A progressive web app: pages that say who is there, a manifest, and one worker by its number. */
function answerAsApp({ url = '/', method, headers }: IncomingMessage, response: ServerResponse) {
  const worker = Object.values(WORKERS)[Number(/^\/worker-(\d)\.js$/.exec(url)?.[1])]
  const [type, body] = worker
    ? ['text/javascript', worker.script]
    : [
        'text/html',
        `<!doctype html><title>App</title><link rel="manifest" href="/app.webmanifest">
         <h1>${String(headers['x-auth-request-user'])}</h1>
         <p>${method} ${String(headers['sec-fetch-mode'])}/${String(headers['sec-fetch-dest'])}</p>`,
      ]
  response.writeHead(200, { 'Content-Type': type }).end(body)
}

async function startWebApp() {
  await using stack = new AsyncDisposableStack()
  const server = createServer(answerAsApp)
  const appPort = await listenOn(server)
  stack.defer(() => closeServer(server))
  const port = await steadyPort()
  const origin = `http://my_app.localhost:${port}`
  const { vestibule } = stack.use(
    await startRelyingParty({ PROTECTED_HOSTS: origin }, { origins: [origin] }),
  )
  stack.use(
    await startStandInGateway({
      port,
      hosts: ['my_app.localhost'],
      vestibulePublicUrl: `http://127.0.0.1:${vestibule.publicPort}`,
      vestibuleCheckUrl: `http://127.0.0.1:${vestibule.internalPort}/auth`,
      appUrl: `http://127.0.0.1:${appPort}`,
      authResponseHeaders,
    }),
  )
  const resources = stack.move()
  return { origin, vestibule, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

const missing = chromiumMissing ? ` (${chromiumMissing})` : ''

describe.skipIf(missing)(`C40: Chromium with a service worker${missing}`, () => {
  const app = prepared(startWebApp)
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  async function choose(page: Page): Promise<void> {
    await page.locator('button[value="alice"]').click()
  }

  /** Asserts that the page at this address is shown to alice. */
  async function expectShown(page: Page, address: string): Promise<void> {
    await page.waitForURL(address)
    expect(await page.locator('h1').innerText()).toBe('alice')
  }

  /** Signs in and has the worker control the pages of a new browser profile. */
  async function openWith(worker: number): Promise<{ context: BrowserContext; page: Page }> {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(`${app().origin}/`)
    await choose(page)
    await expectShown(page, `${app().origin}/`)
    await page.evaluate(`navigator.serviceWorker.register('/worker-${worker}.js')`)
    await page.waitForFunction('navigator.serviceWorker.controller !== null')
    return { context, page }
  }

  describe.for(Object.entries(WORKERS).map(([what, { seen }], at) => [what, seen, at] as const))(
    'that %s',
    ([, seen, at]) => {
      test('signs in again by itself, with the address kept, when the session has ended', async () => {
        const { context, page } = await openWith(at)
        const address = `${app().origin}/reports?q=${'b'.repeat(2500)}`
        await page.goto(address)
        expect(await page.locator('p').innerText()).toBe(`GET ${seen}`)
        await context.clearCookies({ name: 'vestibule' })
        await page.goto(address)
        await expectShown(page, address)
        await context.clearCookies()
        await page.goto(address)
        await choose(page)
        await expectShown(page, address)
        await context.close()
      })

      test('comes back to the page with the form that was sent too late', async () => {
        const { context, page } = await openWith(at)
        await page.goto(`${app().origin}/form`)
        await context.clearCookies({ name: 'vestibule' })
        await page.evaluate(
          `document.body.innerHTML = '<form method="post" action="/sent"><button>Send</button></form>'`,
        )
        await page.locator('button').click()
        await expectShown(page, `${app().origin}/form`)
        await context.close()
      })

      test('signs in two tabs at once', async () => {
        const { context, page } = await openWith(at)
        const pages = [page, await context.newPage()]
        await context.clearCookies()
        const addresses = ['/one', '/two'].map((path) => app().origin + path)
        await Promise.all(pages.map((each, tab) => each.goto(addresses[tab] ?? '')))
        for (const each of pages) await choose(each)
        await Promise.all(pages.map((each, tab) => expectShown(each, addresses[tab] ?? '')))
        await context.close()
      })
    },
  )

  test('a form of another site that a worker passes on signs nobody out (A67)', async () => {
    const { context, page } = await openWith(0)
    const other = await context.newPage()
    await other.goto(`http://other.localhost:${new URL(app().origin).port}/`)
    await other.setContent(
      `<form method="post" action="${app().origin}/oauth2/logout"><button>Go</button></form>`,
    )
    await other.locator('button').click()
    await other.waitForURL(`${app().origin}/oauth2/logout`)
    expect(await other.locator('h1').innerText()).toBe('Sign out?')
    await page.goto(`${app().origin}/still`)
    await expectShown(page, `${app().origin}/still`)
    await context.close()
  })
})
