import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type RunningProcess, startProcess } from '../../../stand-ins/process.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { chromiumMissing, launchChromium } from '../../support/chromium.ts'
import { startTestProvider } from '../../support/provider.ts'
import { startVestibule } from '../../support/vestibule.ts'

const TABS = 20

const missing = chromiumMissing ? ` (${chromiumMissing})` : ''

describe.skipIf(missing)(`a person with a browser${missing}`, () => {
  let demo: RunningProcess
  let browser: Browser
  let origin = ''
  const complaints: string[] = []

  beforeAll(async () => {
    demo = startProcess(process.execPath, ['demo/main.ts'], {
      env: { PATH: process.env['PATH'] ?? '' },
    })
    await vi.waitUntil(() => demo.output().includes('Ctrl-C'), { timeout: 60_000 })
    origin = /guards this application: (\S+)/.exec(demo.output())?.[1] ?? ''
    browser = await launchChromium()
  })

  afterAll(async () => {
    await browser?.close()
    expect(await demo.stop()).toBe(0)
  })

  const open = async (
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<BrowserContext> => {
    const context = await browser.newContext(options)
    context.on('console', (message) => {
      const isOurs = message.location().url.includes('/oauth2/')
      if (isOurs && /content security|refused/i.test(message.text()))
        complaints.push(message.text())
    })
    return context
  }

  const signIn = async (page: Page, user: string, path = '/'): Promise<void> => {
    await page.goto(`${origin}${path}`)
    await page.locator(`button[value="${user}"]`).click()
    await page.waitForURL(`${origin}${path}`)
  }

  const expectReadable = async (page: Page): Promise<void> => {
    expect(await page.locator('html').getAttribute('lang')).toBe('en')
    expect(await page.locator('h1').count()).toBe(1)
    expect(await page.title()).toBe(await page.locator('h1').innerText())
    await page.setViewportSize({ width: 320, height: 640 })
    const overflow = await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
    expect(overflow).toBeLessThanOrEqual(0)
    await page.setViewportSize({ width: 1280, height: 720 })
  }

  test('signs in, sees the own name, and signs out at the provider too', async () => {
    const page = await (await open()).newPage()
    await signIn(page, 'alice', '/reports?year=2026')
    expect(await page.locator('h1').innerText()).toContain('Alice Liddell')
    await page.goto(`${origin}/oauth2/logout`)
    await expectReadable(page)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/session\/end/)
    await page.locator('button[value="yes"]').click()
    await page.waitForURL(`${origin}/oauth2/signed-out**`)
    await expectReadable(page)
    await page.goto(`${origin}/`)
    expect(page.url()).not.toContain(origin)
    await page.goBack()
    await page.goto(`${origin}/reports?year=2026`)
    expect(await page.locator('button[value="alice"]').count()).toBe(1)
    await page.context().close()
  })

  test('works without script', async () => {
    const page = await (await open({ javaScriptEnabled: false })).newPage()
    await signIn(page, 'bob')
    expect(await page.locator('h1').innerText()).toContain('Bob Baumeister')
    await page.context().close()
  })

  test('is told what is not permitted, and may sign in as someone else', async () => {
    const page = await (await open()).newPage()
    await signIn(page, 'bob')
    expect((await page.goto(`${origin}/admin`))?.status()).toBe(403)
    expect(await page.locator('main').innerText()).toContain('bob@example.com')
    await expectReadable(page)
    await page.getByText('Sign in as someone else').click()
    await page.locator('button[value="alice"]').click()
    await page.waitForURL(`${origin}/admin`)
    expect(await page.locator('h1').innerText()).toContain('Alice Liddell')
    await page.context().close()
  })

  test(`${TABS} tabs restored at once all land where they were`, async () => {
    const context = await open()
    await signIn(await context.newPage(), 'alice')
    // Leaves what a browser has a day later: a session at the provider, and none here.
    await context.clearCookies({ domain: 'localhost' })
    const addresses = Array.from({ length: TABS }, (_, tab) => `${origin}/tab/${tab}`)
    const landed = await Promise.all(
      addresses.map(async (address) => {
        const page = await context.newPage()
        await page.goto(address)
        await page.waitForURL(address, { timeout: 60_000 })
        return page.locator('h1').innerText()
      }),
    )
    expect(landed).toHaveLength(TABS)
    for (const greeting of landed) expect(greeting).toContain('Alice Liddell')
    const own = (await context.cookies(origin)).map(({ name }) => name)
    expect(own.toSorted()).toEqual(['vestibule', 'vestibule_login'])
    // Leaves the tabs to the end of the browser, because Chromium at times never confirms that so many are closed.
  })

  test('reads a page for everything that can go wrong', async () => {
    const context = await open()
    const page = await context.newPage()
    expect((await page.goto(`${origin}/oauth2/callback?state=x&code=y`))?.status()).toBe(400)
    await expectReadable(page)
    expect((await page.goto(`${origin}/oauth2/login?rd=https://evil.example`))?.status()).toBe(400)
    await expectReadable(page)
    await signIn(page, 'alice')
    for (let round = 0; round < 3; round++) {
      await context.clearCookies({ name: 'vestibule' })
      await page.goto(`${origin}/`)
    }
    expect(page.url()).toContain('/oauth2/login')
    expect(await page.locator('h1').innerText()).toContain('keeps starting over')
    await expectReadable(page)
    await page.getByText('Try once more').click()
    await page.waitForURL(`${origin}/`)
    await context.close()
  })

  test('waits on a page that tries again while the provider is away', async () => {
    const port = await steadyPort()
    await using away = await startVestibule({
      PORT: String(port),
      PROTECTED_HOSTS: `http://localhost:${port}`,
    })
    const page = await (await open()).newPage()
    const answer = await page.goto(`http://localhost:${port}/oauth2/login`)
    expect(answer?.status()).toBe(503)
    await expectReadable(page)
    const again = await page.waitForResponse(/\/oauth2\/login/, { timeout: 10_000 })
    expect(again.status()).toBe(503)
    expect(away.isAlive()).toBe(true)
    await page.context().close()
  })

  test('goes on to another host after signing out, here alone or at the provider too', async () => {
    const port = await steadyPort()
    const [app, other] = ['app', 'other'].map((name) => `http://${name}.localhost:${port}`)
    await using provider = await startTestProvider({ origins: [`${app}`] })
    await using vestibule = await startVestibule({
      PORT: String(port),
      PROTECTED_HOSTS: `${app},${other}`,
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_SECRET: provider.clientSecret,
    })
    const page = await (await open()).newPage()
    const landingPage = `${other}/healthz`
    const logout = `${app}/oauth2/logout?rd=${encodeURIComponent(landingPage)}`
    for (const [address, user] of [
      [`${logout}&local=true`, 'alice'],
      [logout, undefined],
    ] as const) {
      await page.goto(`${app}/oauth2/login?rd=/healthz`)
      if (user) await page.locator(`button[value="${user}"]`).click()
      await page.waitForURL(`${app}/healthz`)
      await page.goto(address)
      await page.getByRole('button', { name: 'Sign out' }).click()
      if (!user) await page.locator('button[value="yes"]').click()
      await page.waitForURL(landingPage)
    }
    await page.goto(`${app}/oauth2/login?rd=/healthz`)
    expect(await page.locator('button[value="alice"]').count()).toBe(1)
    expect(vestibule.isAlive()).toBe(true)
    await page.context().close()
  })

  test('is never refused anything by the policy of our own pages', () => {
    expect(complaints).toEqual([])
  })
})
