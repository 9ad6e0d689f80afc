import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApp } from '../../../stand-ins/app.ts'
import { findProgram } from '../../../stand-ins/process.ts'
import { startStandInGateway } from '../../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { authResponseHeaders } from '../../../stand-ins/vestibule.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { ADMIN_TOKEN, runCommand } from '../../support/operator.ts'
import { HYBRID, PATIENT, type Replicas, startReplicas } from '../../support/replicas.ts'

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
const program = findProgram('chromium')

/** Adds a link, because the demo's app has no second page. */
const ADD_LINK = `document.querySelector('h1').insertAdjacentHTML('afterend', '<a href="/reports">Reports</a>')`

/** Screenshots go where this says; nowhere otherwise. */
const screenshots = process.env['SCREENSHOTS_DIR']

describeWithRedis('people whose sessions an operator ends', () => {
  const stack = new AsyncDisposableStack()
  let fleet: Replicas
  let origins: readonly string[]
  let browser: Browser | undefined

  /** Two replicas, each behind a gateway of its own. */
  beforeAll(async () => {
    if (!program) return
    const ports = [await steadyPort(), await steadyPort()]
    origins = ports.map((port) => `http://localhost:${port}`)
    fleet = stack.use(
      await startReplicas({
        count: 2,
        settings: {
          ...HYBRID,
          ...PATIENT,
          ADMIN_TOKEN,
          PROTECTED_HOSTS: origins.join(),
          // Or else the provider, who still knows her, would let her in again without a word.
          OIDC_AUTHORIZATION_PARAMS: 'prompt=login',
        },
        provider: { origins, users: [{ sub: 'alice', name: 'Alice Liddell' }, { sub: 'bob' }] },
      }),
    )
    await untilWhole(fleet.all)
    const app = stack.use(await startApp())
    for (const [at, { publicPort, internalPort }] of fleet.all.entries()) {
      stack.use(
        await startStandInGateway({
          port: ports[at] as number,
          hosts: ['localhost'],
          vestibulePublicUrl: `http://127.0.0.1:${publicPort}`,
          vestibuleCheckUrl: `http://127.0.0.1:${internalPort}/auth`,
          appUrl: app.url,
          authResponseHeaders,
        }),
      )
    }
    browser = await chromium.launch({ executablePath: program, args: FLAGS })
  })
  afterAll(async () => {
    await browser?.close()
    await stack.disposeAsync()
  })

  /** A profile of its own, signed in at one of the gateways. */
  const signIn = async (user: string, origin: string): Promise<Page> => {
    const page = await (await (browser as Browser).newContext()).newPage()
    await page.goto(`${origin}/`)
    await page.locator(`button[value="${user}"]`).click()
    await page.waitForURL(`${origin}/`)
    return page
  }
  const see = async (page: Page, name: string): Promise<void> => {
    if (!screenshots) return
    mkdirSync(screenshots, { recursive: true })
    await page.screenshot({ path: join(screenshots, `${name}.png`) })
  }

  test('are asked to sign in at their next click, in every browser, and others are not', async (ctx) => {
    if (!browser) return ctx.skip('chromium is not on PATH')
    const [here = '', there = ''] = origins
    const laptop = await signIn('alice', here)
    const phone = await signIn('alice', there)
    const bob = await signIn('bob', there)
    for (const page of [laptop, phone]) {
      await page.reload()
      expect(await page.locator('h1').innerText()).toContain('Alice Liddell')
    }
    for (const page of [laptop, phone, bob]) await page.evaluate(ADD_LINK)
    await see(phone, 'operator-1-signed-in')

    const command = await runCommand(['sessions', 'end', '--user', 'alice'], {
      ADMIN_TOKEN,
      INTERNAL_PORT: `${fleet.first.internalPort}`,
    })
    expect(command).toEqual({
      code: 0,
      output: expect.stringMatching(/^2 sessions have ended\./) as string,
    })

    const { origin: issuer } = new URL(fleet.provider.issuer)
    for (const page of [phone, laptop]) {
      await page.getByText('Reports').click()
      await page.waitForURL((url) => url.origin === issuer)
      expect(await page.locator('button[value="alice"]').count()).toBe(1)
    }
    await see(phone, 'operator-2-asked-to-sign-in')
    await bob.getByText('Reports').click()
    await bob.waitForURL(`${there}/reports`)

    await phone.locator('button[value="alice"]').click()
    await phone.waitForURL(`${there}/reports`)
    expect(await phone.locator('h1').innerText()).toContain('Alice Liddell')
    await see(phone, 'operator-3-signed-in-again')
  })
})
