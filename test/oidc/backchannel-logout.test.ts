import type { Configuration } from 'oidc-provider'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT } from '../support/sign-in-steps.ts'
import { claimsOf } from '../support/tokens.ts'
import type { Visitor } from '../support/visitor.ts'

/** Answer of Vestibule to the provider. */
interface Told {
  readonly claims: Readonly<Record<string, unknown>>
  readonly status: number
  readonly cacheControl: string | null
}

const told: Told[] = []
let party: RelyingParty

/** The provider’s own request, but that it may go to a loopback address. */
const deliver: NonNullable<Configuration['fetch']> = async (url, options) => {
  const { method, headers, body, redirect, signal } = options as Required<RequestInit>
  const response = await fetch(url, { method, headers, body, redirect, signal })
  const token = (body as URLSearchParams).get('logout_token') ?? ''
  const cacheControl = response.headers.get('cache-control')
  told.push({ claims: claimsOf(token), status: response.status, cacheControl })
  return response
}

beforeAll(async () => {
  const port = await steadyPort()
  party = await startRelyingParty(
    { PORT: `${port}`, PROTECTED_HOSTS: `app.example.com,http://127.0.0.1:${port}` },
    {
      client: {
        backchannel_logout_uri: `http://127.0.0.1:${port}/oauth2/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
      configuration: { features: { backchannelLogout: { enabled: true } }, fetch: deliver },
    },
  )
})
afterAll(() => party[Symbol.asyncDispose]())

async function signIn(sub: string): Promise<{ browser: Visitor; cookie: string }> {
  const { browser, isSignedIn } = await party.attempt(sub)
  expect(isSignedIn).toBe(true)
  return { browser, cookie: String(cookieHeader(browser)) }
}

async function isSignedIn(cookie: string): Promise<boolean> {
  return (await party.vestibule.check({}, { Cookie: cookie })).status === 200
}

/** Signs out at the provider, without visiting any app. */
async function leaveProvider(browser: Visitor): Promise<Told> {
  const before = told.length
  await browser.submit(await browser.get(`${party.provider.issuer}/session/end`), { logout: 'yes' })
  expect(told).toHaveLength(before + 1)
  return told.at(-1) as Told
}

describe('a sign-out at the provider itself', () => {
  test('ends the session that came of it, and those of nobody else', async () => {
    const [left, other, bob] = [await signIn('alice'), await signIn('alice'), await signIn('bob')]
    const { claims, status, cacheControl } = await leaveProvider(left.browser)
    expect([status, cacheControl]).toEqual([200, 'no-store'])
    expect(claims).toMatchObject({ sub: 'alice', sid: expect.any(String) as string })
    expect(await isSignedIn(left.cookie)).toBe(false)
    expect([await isSignedIn(other.cookie), await isSignedIn(bob.cookie)]).toEqual([true, true])
  })

  test('is a new sign-in at the next click', async () => {
    const { browser } = await signIn('alice')
    await leaveProvider(browser)
    const page = await browser.browse(`${APP}/oauth2/login?rd=/`)
    expect(page.url).toMatch(`${party.provider.issuer}/interaction/`)
    expect(page.body).toContain('name="login"')
  })

  test('ends all sessions of the user where the provider does not say which', async () => {
    const [left, other, bob] = [await signIn('alice'), await signIn('alice'), await signIn('bob')]
    await party.provider.changeClient({ backchannel_logout_session_required: false })
    const { claims, status } = await leaveProvider(left.browser)
    await party.provider.changeClient({ backchannel_logout_session_required: true })
    expect(status).toBe(200)
    expect(claims).toMatchObject({ sub: 'alice' })
    expect(claims).not.toHaveProperty('sid')
    expect([await isSignedIn(left.cookie), await isSignedIn(other.cookie)]).toEqual([false, false])
    expect(await isSignedIn(bob.cookie)).toBe(true)
  })
})

/**
 * The other modules of this plan are rows of A90: `alg-none`, `no-event`, `with-nonce`, `wrong-alg`, `wrong-aud`,
 * `wrong-event` and `wrong-iss`.
 */
describe('oidcc-client-back-channel-logout-rp-basic-certification-test-plan', () => {
  test('oidcc-client-test-rp-backchannel-rpinitlogout', async () => {
    const { browser, cookie } = await signIn('alice')
    const leaving = await browser.post(LOGOUT)
    expect(leaving.location).toMatch(`${party.provider.issuer}/session/end?`)
    const page = await browser.get(String(leaving.location))
    const before = told.length
    expect((await browser.submit(page, { logout: 'yes' })).url).toMatch(`${APP}/oauth2/signed-out`)
    expect(told.slice(before)).toMatchObject([{ status: 200, cacheControl: 'no-store' }])
    expect(await isSignedIn(cookie)).toBe(false)
  })
})
