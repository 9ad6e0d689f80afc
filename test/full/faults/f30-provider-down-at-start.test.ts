import { beforeAll, describe, expect, test } from 'vitest'
import { expectComeAgain, script } from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { startTestProvider } from '../../support/provider.ts'
import { APP, startRelyingParty } from '../../support/relying-party.ts'
import { untilStarted } from '../../support/replicas.ts'
import { startLogin } from '../../support/sign-in-steps.ts'
import { type RunningVestibule, startVestibule } from '../../support/vestibule.ts'

const party = prepared(() =>
  startRelyingParty({ PUBLIC_PATHS: '/public/**' }, {}, (provider) => provider.pause()),
)
beforeAll(() => untilStarted(party().vestibule))

async function isDiscovered(of: RunningVestibule) {
  return /^vestibule_provider_discovered (\d)$/m.exec((await of.internal('/metrics')).body)?.[1]
}

describe('F30 provider down at start', () => {
  test.for([
    ['/livez', 200],
    ['/readyz', 200],
    ['/startupz', 200],
    ['/health', 200],
    ['/health?strict=1', 503],
  ] as const)('the process is up: %s is %i', async ([path, status]) => {
    const visit = await party().vestibule.internal(path)
    expect(visit.status).toBe(status)
    if (path.startsWith('/health'))
      expect(JSON.parse(visit.body)).toMatchObject({ status: 'degraded' })
  })

  test('checks answer as always: public paths pass, all others lead to a sign-in', async () => {
    expect((await party().vestibule.check({ uri: '/public/a' })).status).toBe(200)
    expect((await party().vestibule.check()).status).toBe(302)
    expect((await party().vestibule.check({}, script)).status).toBe(401)
    expect(await isDiscovered(party().vestibule)).toBe('0')
  })

  test('a sign-in gets a page that retries by itself, and changes no cookie', async () => {
    const page = await startLogin(party().vestibule.visitor())
    expectComeAgain(page)
    expect(page.body).toContain('<meta http-equiv="refresh" content="5">')
  })

  test('many sign-ins at once are answered in time', async () => {
    const { value: pages, ownMs } = await timed(
      Promise.all(Array.from({ length: 50 }, () => startLogin(party().vestibule.visitor()))),
    )
    expect(new Set(pages.map(({ status }) => status))).toEqual(new Set([503]))
    expect(ownMs).toBeLessThan(5000 + BUSY_MS)
  })

  test('a sign-out works without the provider', async () => {
    const done = await party().vestibule.visitor().post(`${APP}/oauth2/logout`)
    expect(done.location).toBe(`${APP}/oauth2/signed-out`)
  })

  test('the provider is discovered soon after it is there, without any request', async () => {
    await using late = await startTestProvider()
    await late.pause()
    await using alone = await startVestibule({ OIDC_ISSUER_URL: late.issuer })
    expect(await isDiscovered(alone)).toBe('0')
    await late.resume()
    await expect.poll(() => isDiscovered(alone), { timeout: 60_000, interval: 100 }).toBe('1')
    expect(late.count('discovery')).toBe(1)
  })

  test('the first sign-in after the provider’s return works', async () => {
    await party().provider.resume()
    expect((await startLogin(party().vestibule.visitor())).status).toBe(302)
    expect(await isDiscovered(party().vestibule)).toBe('1')
    expect(party().vestibule.log()).toContainEqual(
      expect.objectContaining({ event: 'provider_discovered' }),
    )
    const cookie = await party().vestibule.signIn('alice')
    expect((await party().vestibule.check({}, { Cookie: cookie })).status).toBe(200)
  })

  test('sessions, and sign-ins that were begun, survive an outage of the provider', async () => {
    const cookie = await party().vestibule.signIn('alice')
    const browser = party().vestibule.visitor()
    await startLogin(browser)
    await party().provider.pause()
    expect((await party().vestibule.check({}, { Cookie: cookie })).status).toBe(200)
    // The metadata are known by now, so a sign-in may begin; where it leads is for the provider to answer.
    expect((await startLogin(party().vestibule.visitor())).status).toBe(302)
    expect((await party().vestibule.internal('/readyz')).status).toBe(200)
    await party().provider.resume()
    expect((await browser.signIn(`${APP}/oauth2/login?rd=/`, 'alice')).url).toBe(`${APP}/`)
    expect(party().vestibule.isAlive()).toBe(true)
  })

  test('a provider that never answers delays a sign-in by its time limit, and no check', async () => {
    await using hanging = await startTestProvider()
    hanging.set('discovery', { delayMs: 60_000 })
    await using waiting = await startVestibule({ OIDC_ISSUER_URL: hanging.issuer })
    const login = timed(startLogin(waiting.visitor()))
    for (let round = 0; round < 20; round += 1) {
      const { value, ownMs } = await timed(waiting.check())
      expect(value.status).toBe(302)
      expect(ownMs).toBeLessThan(BUSY_MS)
    }
    expect((await waiting.internal('/readyz')).status).toBe(200)
    expect((await waiting.internal('/startupz')).status).toBe(503)
    const { value, ownMs } = await login
    expect(value.status).toBe(503)
    expect(ownMs).toBeLessThan(10_000 + BUSY_MS)
    await untilStarted(waiting)
  })
})
