import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chromiumMissing, launchChromium } from '../../support/chromium.ts'
import { type FollowedPages, seenBy, startFollowedPages } from '../../support/followed-pages.ts'
import { readMetric } from '../../support/outage.ts'

const TABS = 10
const ENDED = ['session-ended', { reason: 'operator' }]

const missing = chromiumMissing ? ` (${chromiumMissing})` : ''

describe.skipIf(missing)(`pages with client.js in a browser${missing}`, () => {
  let world: FollowedPages
  let browser: Browser
  let context: BrowserContext
  const faults: string[] = []

  beforeAll(async () => {
    world = await startFollowedPages()
    browser = await launchChromium({ isKeepingPages: true })
  })
  afterAll(async () => {
    await browser?.close()
    await world?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    world.lead(world.first)
    context = await browser.newContext()
    context.on('weberror', (fault) => faults.push(String(fault.error())))
    context.on('console', (message) => {
      if (/content security|trusted/i.test(message.text())) faults.push(message.text())
    })
    await world.signIn(context)
  })
  afterEach(async () => {
    await context.close()
    await world.untilStreams(0)
    expect(faults.splice(0)).toEqual([])
  })

  const open = async (path: string, origin = world.app): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(`${origin}${path}`)
    return page
  }

  /** Opens a tab that holds the connection and others that wait for it. */
  const openTabs = async (path: string, count = TABS): Promise<Page[]> => {
    const holder = await open(`${path}0`)
    await world.untilStreams(1)
    const others = Array.from({ length: count - 1 }, (_, tab) => open(`${path}${tab + 1}`))
    return [holder, ...(await Promise.all(others))]
  }

  const expectNotices = async (page: Page, ...data: unknown[]): Promise<void> => {
    const notices = data.map((each) => ['notice', each])
    await expect.poll(() => seenBy(page)).toEqual(notices)
  }

  /** Sends one notice that tabs are sure to hear, whatever is still being connected. */
  const untilAllHear = async (tabs: readonly Page[], data: string): Promise<void> => {
    await world.untilStreams(1)
    await world.notify(data)
    for (const tab of tabs) await expectNotices(tab, data)
  }

  test('ten tabs share one connection, and each is told once', async () => {
    const tabs = await openTabs('/tab/')
    await untilAllHear(tabs, 'one')
    expect(await world.streams(world.first)).toBe(1)
  })

  test('another tab takes over when the holder is closed, and no notice is missed or told twice', async () => {
    const [holder, ...others] = await openTabs('/tab/', 3)
    await world.notify(1)
    for (const tab of others) await expectNotices(tab, 1)
    const closed = holder?.close()
    await world.notify(2)
    await closed
    await world.notify(3)
    for (const tab of others) await expectNotices(tab, 1, 2, 3)
    await world.untilStreams(1)
  })

  test('another tab takes over when the process of the holder dies', async () => {
    const [holder, other] = await openTabs('/crash/', 2)
    if (!holder || !other) throw new Error('two tabs')
    await untilAllHear([holder, other], 'before')
    const session = await context.newCDPSession(holder)
    void session.send('Page.crash').catch(() => undefined)
    await holder.waitForEvent('crash')
    await world.notify('after')
    await expectNotices(other, 'before', 'after')
    await world.untilStreams(1)
  })

  test('pages without locks, as on plain http hosts, have a connection each', async () => {
    await context.addInitScript('Object.defineProperty(navigator, "locks", { value: undefined })')
    const tabs = [await open('/lockless/0'), await open('/lockless/1')]
    await world.untilStreams(2)
    await world.notify('one')
    for (const tab of tabs) await expectNotices(tab, 'one')
  })

  test('a connection that says nothing for 45 seconds is opened anew', async () => {
    const page = await context.newPage()
    await page.clock.install()
    await page.goto(`${world.app}/silent`)
    await untilAllHear([page], 'before')
    const asked = page.waitForRequest('**/oauth2/events')
    await page.clock.fastForward(44_000)
    await page.clock.fastForward(6000)
    expect((await asked).headers()['last-event-id']).toMatch(/^\d+-\d+$/)
    await world.untilStreams(1)
    await world.notify('after')
    await expectNotices(page, 'before', 'after')
  })

  test('another tab takes over from a holder that the system has put to sleep', async () => {
    const tabs = await openTabs('/asleep/', 2)
    await untilAllHear(tabs, 'before')
    const [holder, other] = tabs
    const asleep = holder?.evaluate(
      '{ const end = Date.now() + 10_000; while (Date.now() < end); }',
    )
    await other?.evaluate(
      'document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))',
    )
    await expect.poll(() => world.streams(world.first), { timeout: 9000 }).toBe(2)
    await world.notify('meanwhile')
    if (other) await expectNotices(other, 'before', 'meanwhile')
    await asleep
    if (holder) await expectNotices(holder, 'before', 'meanwhile')
    await world.untilStreams(1)
  })

  test('the end of a session reaches ten tabs, and each is loaded again once', async () => {
    const tabs = await openTabs('/public/ends?', TABS)
    await untilAllHear(tabs, 'ready')
    const reloaded = tabs.map((tab) => tab.waitForEvent('load'))
    await world.endAll()
    await Promise.all(reloaded)
    await world.untilStreams(0)
    const again = await open('/public/ends?again')
    await again.waitForLoadState('networkidle')
    for (const [at] of tabs.entries()) expect(world.loads.get(`/public/ends?${at}`)).toBe(2)
  })

  test('a protected page whose session has ended is loaded by way of the sign-in', async () => {
    const tabs = await openTabs('/ends/', 2)
    await untilAllHear(tabs, 'ready')
    await world.endAll()
    for (const tab of tabs) await expect.poll(() => seenBy(tab)).toEqual([])
    expect([0, 1].map((at) => world.loads.get(`/ends/${at}`))).toEqual([2, 2])
  })

  test('a sign-out reaches a slow provider, and a hidden page is not signed in again meanwhile', async () => {
    // Passes the pause before pages are loaded again.
    await context.addInitScript(
      '{ const later = setTimeout; window.setTimeout = (then, ms) => later(then, ms === 3000 ? 30 : ms) }',
    )
    const [mine, other] = await openTabs('/sign-out/', 2)
    const shown = await open('/public/sign-out')
    if (!mine || !other) throw new Error('two tabs')
    await untilAllHear([mine, other, shown], 'ready')
    const hide = (isHidden: boolean) =>
      other.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true })`,
      )
    await hide(true)
    const { promise: after, resolve } = Promise.withResolvers<void>()
    world.provider.set('endSession', { after, times: 1 })
    await mine.evaluate(`{
      document.body.innerHTML = '<form method="post" action="/oauth2/logout"></form>'
      document.forms[0].submit()
    }`)
    await expect.poll(() => world.loads.get('/public/sign-out')).toBe(2)
    await expect.poll(() => world.provider.count('endSession')).toBe(1)
    resolve()
    await mine.locator('button[value="yes"]').click()
    await mine.waitForURL(/signed-out/)
    const ended = ['session-ended', { reason: 'signed-out' }]
    await expect.poll(() => seenBy(other)).toContainEqual(ended)
    await hide(false)
    await other.locator('button[value="alice"]').waitFor()
    expect([0, 1].map((at) => world.loads.get(`/sign-out/${at}`))).toEqual([1, 1])
  })

  test('a new sign-in loads the other tab again, which needs no further one', async () => {
    const [mine, other] = await openTabs('/replaced/', 2)
    if (!mine || !other) throw new Error('two tabs')
    await untilAllHear([mine, other], 'ready')
    const signIns = () => readMetric(world.first, 'vestibule_sign_ins_total{result="success"}')
    const before = await signIns()
    const target = encodeURIComponent(`${world.app}/replaced/0`)
    await mine.goto(`${world.app}/oauth2/login?rd=${target}`)
    await mine.waitForURL(`${world.app}/replaced/0`)
    await expect.poll(() => world.loads.get('/replaced/1')).toBe(2)
    // Sends again, because a stream of the page before may be counted until its end is noticed.
    await expect
      .poll(async () => {
        await world.notify('again')
        return Promise.all([mine, other].map(async (page) => (await seenBy(page)).length > 0))
      })
      .toEqual([true, true])
    expect([await signIns(), world.loads.get('/replaced/0')]).toEqual([before + 1, 2])
  })

  test('a page that prevents the default is told once and stays silent', async () => {
    const tabs = await openTabs('/public/stays?prevent&', 2)
    await untilAllHear(tabs, 'ready')
    await world.endAll()
    for (const tab of tabs) {
      await expect.poll(() => seenBy(tab)).toEqual([['notice', 'ready'], ENDED])
      await tab.evaluate('dispatchEvent(new Event("online"))')
    }
    await world.signIn(context)
    expect(await world.streams(world.first)).toBe(0)
    expect(world.loads.get('/public/stays?prevent&0')).toBe(1)
  })

  test('a page without a session is left alone, and follows once there is one', async () => {
    await context.clearCookies()
    const page = await open('/public/quiet')
    await page.waitForLoadState('networkidle')
    expect(await seenBy(page)).toEqual([])
    await world.signIn(context)
    await page.evaluate('dispatchEvent(new Event("online"))')
    await untilAllHear([page], 'welcome')
    expect(world.loads.get('/public/quiet')).toBe(1)
  })

  test('a lid is closed and opened: what was sent meanwhile arrives, once', async () => {
    const tabs = await openTabs('/lid/', 2)
    await untilAllHear(tabs, 'before')
    await context.setOffline(true)
    await world.notify('meanwhile')
    await context.setOffline(false)
    for (const tab of tabs) await expectNotices(tab, 'before', 'meanwhile')
    await world.untilStreams(1)
  })

  test('another replica goes on where the first was', async () => {
    const tabs = await openTabs('/moved/', 2)
    await untilAllHear(tabs, 'before')
    world.lead(world.second)
    await world.notify('meanwhile')
    for (const tab of tabs) await tab.evaluate('dispatchEvent(new Event("online"))')
    await world.untilStreams(1, world.second)
    await world.notify('after')
    for (const tab of tabs) await expectNotices(tab, 'before', 'meanwhile', 'after')
    world.lead(world.first)
  })

  test('a proxy that drops Last-Event-ID costs a notice and no storm of requests', async () => {
    const tabs = await openTabs('/dropped/', 2)
    await untilAllHear(tabs, 'before')
    let requests = 0
    await context.route('**/oauth2/events', (route, request) => {
      requests++
      const { 'last-event-id': _, ...headers } = request.headers()
      return route.continue({ headers })
    })
    world.lead(world.second)
    await world.notify('meanwhile')
    for (const tab of tabs) await tab.evaluate('dispatchEvent(new Event("online"))')
    await world.untilStreams(1, world.second)
    for (let at = 0; at < 100; at++) await tabs[1]?.evaluate('history.length')
    await world.notify('after')
    for (const tab of tabs) await expect.poll(() => seenBy(tab)).toContainEqual(['notice', 'after'])
    expect(requests).toBeLessThan(5)
    world.lead(world.first)
  })

  test('a page that is kept lets go of the connection, and catches up when it is shown again', async () => {
    const page = await open('/kept')
    await untilAllHear([page], 'before')
    await page.goto(`${world.app}/public/recorder.js`)
    await world.untilStreams(0)
    await world.notify('meanwhile')
    await page.evaluate('history.back()')
    await expect.poll(() => page.evaluate('window.isRestored')).toBe(true)
    await expectNotices(page, 'before', 'meanwhile')
  })

  test('a page that is kept learns of an end when it is shown again', async () => {
    const page = await open('/public/kept?prevent')
    await untilAllHear([page], 'before')
    await page.goto(`${world.app}/public/recorder.js`)
    await world.untilStreams(0)
    await world.endAll()
    await page.evaluate('history.back()')
    await expect.poll(() => page.evaluate('window.isRestored')).toBe(true)
    await expect.poll(() => seenBy(page)).toEqual([['notice', 'before'], ENDED])
  })

  test('a page that is kept is not shown to who signed in meanwhile', async () => {
    const page = await open('/public/others?prevent')
    await untilAllHear([page], 'before')
    await page.goto(`${world.app}/public/recorder.js`)
    await world.signIn(context, 'bob')
    await page.evaluate('history.back()')
    const replaced = ['session-ended', { reason: 'replaced' }]
    await expect.poll(() => seenBy(page)).toEqual([['notice', 'before'], replaced])
  })

  test.for(['/strict', '/twice'])(
    '%s: a strict policy of the page, and a script that is there twice',
    async (path) => {
      await untilAllHear([await open(path)], 'heard')
    },
  )

  test('a page of one host follows by the address of another, which is that of the sign-in', async () => {
    const settingsOf = (port: number) => ({
      PUBLIC_URL: `http://auth.shop.localhost:${port}`,
      COOKIE_DOMAIN: 'shop.localhost',
    })
    await using shared = await startFollowedPages(settingsOf, 'http://auth.shop.localhost')
    const own = await browser.newContext()
    await shared.signIn(own)
    const pages = [await own.newPage(), await own.newPage()]
    await pages[0]?.goto(`${shared.app}/public/shared?0`)
    await pages[1]?.goto(`${shared.other}/public/shared?prevent`)
    await shared.untilStreams(2)
    await shared.notify('before')
    for (const page of pages) await expectNotices(page, 'before')
    await shared.notify('and')
    for (const page of pages) await page.evaluate('dispatchEvent(new Event("online"))')
    await shared.untilStreams(2)
    await shared.notify('after')
    for (const page of pages) await expectNotices(page, 'before', 'and', 'after')
    await shared.endAll()
    await expect.poll(() => shared.loads.get('/public/shared?0')).toBe(2)
    await expect.poll(() => pages[1] && seenBy(pages[1])).toContainEqual(ENDED)
    await own.close()
  })
})
