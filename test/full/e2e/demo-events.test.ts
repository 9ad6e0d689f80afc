import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { describe, expect, test, vi } from 'vitest'
import { startProcess } from '../../../stand-ins/process.ts'
import { chromiumMissing, launchChromium } from '../../support/chromium.ts'
import { prepared } from '../../support/prepared.ts'

const missing = chromiumMissing ? ` (${chromiumMissing})` : ''

/** The demo as people start it, and what it prints. */
async function startDemo() {
  await using stack = new AsyncDisposableStack()
  const env = { PATH: process.env['PATH'] ?? '' }
  const demo = startProcess(process.execPath, ['demo/main.ts'], { env })
  stack.defer(async () => expect(await demo.stop()).toBe(0))
  await vi.waitUntil(() => demo.output().includes('Ctrl-C'), { timeout: 60_000 })
  const browser: Browser = stack.adopt(await launchChromium(), (launched) => launched.close())
  const origin = /guards this application: (\S+)/.exec(demo.output())?.[1] ?? ''
  const commands = demo.output().split('from the command line\n')[1]?.split('\n\n')[0] ?? ''
  const [curl = '', vestibule = ''] = commands.split(/\n(?= {2}BROADCAST_TOKEN)/)
  const [, internalUrl = ''] = /--url=(\S+)/.exec(vestibule) ?? []
  const [, token = ''] = /BROADCAST_TOKEN=(\S+)/.exec(vestibule) ?? []
  const kept = stack.move()
  return {
    origin,
    curl,
    vestibule,
    /** Turns an example of the page into one for this demo. */
    here: (example: string) =>
      `export BROADCAST_TOKEN=${token}\n${example
        .replace('http://vestibule:4181', internalUrl)
        .replace('--host=app.example.com', `--host=${new URL(origin).host} --url=${internalUrl}`)}`,
    profile: () => browser.newContext(),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

const run = (command: string) =>
  execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: 'pipe' })

/** The examples of the page about connected clients in one language. */
const examples = (language: string): readonly string[] => {
  const page = readFileSync('docs/connected-clients.md', 'utf8')
  const found = [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))]
  return found.map(([, text = '']) => text)
}

describe.skipIf(missing)(`the demo${missing}`, () => {
  const demo = prepared(startDemo)

  /** Opens a page at the app, with a sign-in where the browser has no session yet. */
  const open = async (context: BrowserContext, user: string): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(demo().origin)
    const choice = page.locator(`button[value="${user}"]`)
    if ((await choice.count()) > 0) await choice.click()
    await page.waitForURL(`${demo().origin}/`)
    await page.locator('#session').waitFor()
    return page
  }
  /** Waits until a notice has reached each page; one is sent again where a page was not connected yet. */
  const untilShown = async (command: string, text: string, pages: readonly Page[]) => {
    await vi.waitFor(async () => {
      run(command)
      for (const page of pages) expect(await page.locator('#notices').innerText()).toContain(text)
    }, 30_000)
  }

  test('shows a notice of curl in every window, and one of the command to its user alone', async () => {
    const { curl, vestibule, profile } = demo()
    const [hers, his] = [await profile(), await profile()]
    const pages = [await open(hers, 'alice'), await open(hers, 'alice')]
    const bob = await open(his, 'bob')
    await untilShown(curl, 'Tea at four', [...pages, bob])
    await untilShown(vestibule, 'For Bob alone', [bob])
    await untilShown(curl.replace('Tea at four', 'And cake'), 'And cake', [...pages, bob])
    for (const page of pages)
      expect(await page.locator('#notices').innerText()).not.toContain('For Bob alone')
    await Promise.all([hers.close(), his.close()])
  })

  test.for([
    ['hidden', 'you signed out'],
    ['shown', 'the provider ended it'],
  ] as const)(
    'changes both windows after a sign-out, during which the other one is %s, and nobody else’s',
    async ([view, reason]) => {
      const { curl, origin, profile } = demo()
      const [hers, his] = [await profile(), await profile()]
      const [one, two] = [await open(hers, 'alice'), await open(hers, 'alice')]
      const bob = await open(his, 'bob')
      await untilShown(curl, 'Tea at four', [one, two, bob])
      const hide = (isHidden: boolean) =>
        two.evaluate(
          `Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true })`,
        )
      await hide(view === 'hidden')
      await one.getByRole('button', { name: 'Sign out' }).click()
      await two.getByText('Your session has ended: you signed out in this browser.').waitFor()
      // The provider asks first, and until the answer it lets the other window in again.
      if (view === 'shown') await two.getByText('before this one ended: you signed out').waitFor()
      await one.locator('button[value="yes"]').click()
      await one.waitForURL(`${origin}/oauth2/signed-out**`)
      if (view === 'hidden') await hide(false)
      await two.locator('button[value="alice"]').click()
      await two.getByText(`before this one ended: ${reason}`).waitFor()
      expect(await bob.locator('#notices').innerText()).toContain('Tea at four')
      await Promise.all([hers.close(), his.close()])
    },
  )

  test('gives the values of the headers room on a phone', async () => {
    const context = await demo().profile()
    const page = await open(context, 'alice')
    await page.setViewportSize({ width: 360, height: 740 })
    const widths = `[...document.querySelectorAll('td:last-child')].map((each) => each.clientWidth)`
    expect(Math.min(...(await page.evaluate<number[]>(widths)))).toBeGreaterThan(200)
    await context.close()
  })

  test('changes a page whose session is ended at /oauth2/sessions in another browser', async () => {
    const { curl, profile } = demo()
    const [phone, laptop] = [await profile(), await profile()]
    const [lost, here] = [await open(phone, 'bob'), await open(laptop, 'bob')]
    await untilShown(curl, 'Tea at four', [lost, here])
    await here.getByText('All your sessions').click()
    await here.getByText('End all others', { exact: true }).click()
    await here.getByRole('button', { name: 'Yes, end all others' }).click()
    await lost.getByText('you ended it from another browser').waitFor()
    await Promise.all([phone.close(), laptop.close()])
  })

  test('runs the examples of the page about connected clients', async () => {
    const { here, origin, profile } = demo()
    const context = await profile()
    await (await open(context, 'alice')).close()
    const [html = ''] = examples('html')
    const [ended = '', timeLeft = '', plain = ''] = examples('js')
    const show = async (body: string): Promise<Page> => {
      const page = await context.newPage()
      page.on('pageerror', (error) => expect.unreachable(String(error)))
      await page.route(`${origin}/example`, (route) =>
        route.fulfill({ contentType: 'text/html', body }),
      )
      await page.goto(`${origin}/example`)
      return page
    }
    const script = (text: string) => `<script>${text}</script>`
    const first = await show(html + script(ended) + script(timeLeft))
    const second = await show(`<p id="notice"></p>${script(plain)}`)
    await first.waitForFunction('endsAtMs > Date.now()')
    for (const [command = '', text] of [
      [examples('sh')[0], 'Tea at four'],
      [examples('sh')[1], 'Maintenance at ten'],
    ]) {
      await vi.waitFor(async () => {
        run(here(command))
        for (const page of [first, second])
          expect(await page.locator('#notice').innerText()).toBe(text)
      }, 30_000)
    }
    await Promise.all([
      first.evaluate("fetch('/oauth2/logout?local=true', { method: 'POST' })"),
      first.getByText('Signed out (signed-out). Save your text').waitFor(),
      // The one without a listener that prevents it is loaded again.
      second.waitForEvent('framenavigated'),
    ])
    await context.close()
  })
})
