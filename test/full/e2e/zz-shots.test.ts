import { expect, test } from 'vitest'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { launchChromium } from '../../support/chromium.ts'
import { startTestProvider } from '../../support/provider.ts'
import { startVestibule } from '../../support/vestibule.ts'
import { createVisitor } from '../../support/visitor.ts'

const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36',
  'Evil<script>/1 x',
]
test('shots', async () => {
  const port = await steadyPort()
  const app = `http://app.localhost:${port}`
  await using provider = await startTestProvider({ origins: [app] })
  await using vestibule = await startVestibule({
    PORT: String(port),
    PROTECTED_HOSTS: app,
    OIDC_ISSUER_URL: provider.issuer,
    OIDC_CLIENT_SECRET: provider.clientSecret,
    SESSION_IDLE_TIMEOUT: '3600',
    TRUSTED_PROXIES: '127.0.0.1',
  })
  for (const [at, agent] of AGENTS.entries()) {
    const v = createVisitor({
      headers: {
        'User-Agent': agent,
        'X-Forwarded-For':
          at === 1 ? '2001:db8:85a3:1234:5678:8a2e:1370:7334' : `203.0.113.${at + 7}`,
      },
    })
    const visit = await v.signIn(`${app}/oauth2/login?rd=/oauth2/sessions`, 'alice')
    expect(visit.status).toBe(200)
  }
  const browser = await launchChromium()
  const out = process.env['SHOTS'] ?? '/tmp/h15/shots'
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(`${app}/oauth2/sessions`)
  await page.locator('button[value="alice"]').click()
  await page.waitForURL(`${app}/oauth2/sessions`)
  const state = await context.storageState()
  for (const width of [360, 1280])
    for (const colorScheme of ['light', 'dark'] as const) {
      const c = await browser.newContext({
        storageState: state,
        javaScriptEnabled: false,
        colorScheme,
        viewport: { width, height: width === 360 ? 740 : 900 },
      })
      const p = await c.newPage()
      await p.goto(`${app}/oauth2/sessions`)
      await p.screenshot({ path: `${out}/sessions-${width}-${colorScheme}.png`, fullPage: true })
      await p.goto(`${app}/oauth2/sessions?end=others`)
      await p.screenshot({ path: `${out}/end-others-${width}-${colorScheme}.png` })
      await p.goto(`${app}/oauth2/logout`)
      await p.screenshot({ path: `${out}/logout-${width}-${colorScheme}.png` })
      await c.close()
    }
  await page.locator('button:has-text("End session")').first().click()
  await page.setViewportSize({ width: 360, height: 740 })
  await page.screenshot({ path: `${out}/ended-one.png`, fullPage: true })
  console.log(page.url(), await page.locator('[role=status]').innerText())
  await page.getByText('End all others').click()
  await page.getByRole('button', { name: 'End all others' }).click()
  await page.screenshot({ path: `${out}/ended-all.png`, fullPage: true })
  console.log(page.url(), await page.locator('main').innerText())
  console.log(
    vestibule
      .log()
      .filter((l) => String(l['event']).includes('sessions') || l['level'] === 'error'),
  )
  await browser.close()
})
