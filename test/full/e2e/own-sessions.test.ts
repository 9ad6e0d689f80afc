import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { chromiumMissing, launchChromium } from '../../support/chromium.ts'
import { prepared } from '../../support/prepared.ts'
import { startRelyingParty } from '../../support/relying-party.ts'

const missing = chromiumMissing ? ` (${chromiumMissing})` : ''
const PHONE = { width: 360, height: 740 } as const
const DESK = { width: 1280, height: 800 } as const
/** Least contrast of text (WCAG 2.2, 1.4.3). */
const LEAST_CONTRAST = 4.5

/** Runs in the page: the least contrast between a text and the ground behind it. */
const LEAST_CONTRAST_SHOWN = `(() => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d')
  const light = (color) => {
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => {
      const part = byte / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const groundOf = (element) => {
    const { backgroundColor } = getComputedStyle(element)
    return backgroundColor === 'rgba(0, 0, 0, 0)' ? groundOf(element.parentElement) : backgroundColor
  }
  const texts = [...document.querySelectorAll('main *')].filter((each) =>
    [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
  return Math.min(...texts.map((each) => {
    const [a, b] = [light(getComputedStyle(each).color), light(groundOf(each))]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  }))
})()`

describe.skipIf(missing)(`one’s own sessions in a browser${missing}`, () => {
  let origin = ''
  let browser: Browser
  const party = prepared(async () => {
    const port = await steadyPort()
    origin = `http://app.localhost:${port}`
    const settings = { PORT: String(port), PROTECTED_HOSTS: origin, SESSION_IDLE_TIMEOUT: '3600' }
    return startRelyingParty(settings, { origins: [origin] })
  })
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  /** Opens the page in a profile of its own. */
  async function openSessions(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ javaScriptEnabled: false, ...options })
    const page = await context.newPage()
    await page.goto(`${origin}/oauth2/sessions`)
    await page.locator('button[value="alice"]').click()
    await page.waitForURL(`${origin}/oauth2/sessions`)
    return page
  }

  /** The status of `/me`; a page would be signed in again, because its profile has a session at the provider. */
  async function statusOf(page: Page): Promise<number | undefined> {
    return (await page.goto(`${origin}/oauth2/me`))?.status()
  }

  test('ends the session of another profile, without script', async () => {
    const elsewhere = await openSessions()
    const here = await openSessions()
    await here
      .getByRole('button', { name: /^End session/ })
      .first()
      .click()
    expect(await here.getByRole('status').innerText()).toBe('One session has ended.')
    expect(await statusOf(elsewhere)).toBe(401)
    await here.context().close()
    await elsewhere.context().close()
  })

  test('asks once before all others end, by the keyboard alone', async () => {
    const elsewhere = [await openSessions(), await openSessions()]
    const here = await openSessions()
    const press = async (name: string, keys: number) => {
      for (let key = 0; key < keys; key++) await here.keyboard.press('Tab')
      expect(await here.locator(':focus').innerText()).toBe(name)
      await here.keyboard.press('Enter')
    }
    await press('End all others', 2)
    await press('Yes, end all others', 1)
    await here.waitForURL(/notice=/)
    expect(await here.getByText('You are not signed in anywhere else.').count()).toBe(1)
    expect(await Promise.all([here, ...elsewhere].map(statusOf))).toEqual([200, 401, 401])
    for (const page of [here, ...elsewhere]) await page.context().close()
  })

  test('signs out here by the button of the current session', async () => {
    const page = await openSessions()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL(/\/session\/end/)
    await page.context().close()
  })

  test.for(
    [PHONE, DESK].flatMap((viewport) =>
      (['light', 'dark'] as const).map((colorScheme) => ({ viewport, colorScheme })),
    ),
  )('is readable: %j', async (options) => {
    const [other, page] = [await openSessions(), await openSessions(options)]
    for (const isAsking of [false, true]) {
      if (isAsking) await page.getByText('End all others', { exact: true }).click()
      expect(await page.title()).toBe(await page.locator('h1').innerText())
      const overflow = 'document.documentElement.scrollWidth - window.innerWidth'
      expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0)
      expect(await page.evaluate(LEAST_CONTRAST_SHOWN)).toBeGreaterThanOrEqual(LEAST_CONTRAST)
    }
    const headings = `[...document.querySelectorAll('h1, h2, h3')].map((each) => each.tagName)`
    const [first, ...others] = await page.evaluate<string[]>(headings)
    expect([first, others.slice(0, 2), others.includes('H1')]).toEqual(['H1', ['H2', 'H3'], false])
    expect(await page.getByRole('heading', { name: 'Chrome on Linux' }).count()).toBeGreaterThan(1)
    for (const box of await page.locator('button, summary, a.button').all())
      expect((await box.boundingBox())?.height).toBeGreaterThanOrEqual(36)
    expect(party().vestibule.isAlive()).toBe(true)
    for (const each of [other, page]) await each.context().close()
  })
})
