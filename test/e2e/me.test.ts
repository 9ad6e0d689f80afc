import { expect, test } from 'vitest'
import { loginRequired } from '../support/refusal.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { writeRules } from '../support/rules-file.ts'
import { useParty } from '../support/used-party.ts'

const ME = `${APP}/oauth2/me`
const NAMED = 'iss email groups expires_in logout_url sessions_url events_url department'.split(' ')

const party = useParty({ IDENTITY_HEADERS: NAMED.map((claim, at) => `X-C${at}=${claim}`).join() })

function parseMe(body: string): Record<string, unknown> {
  return JSON.parse(body) as Record<string, unknown>
}

test('/me tells when the session ends, and where sign-out, sessions and events are on the host asked', async () => {
  const { browser } = await party.attempt()
  const me = await browser.fetch(ME)
  const { expires_in: left, ...body } = parseMe(me.body)
  expect(body).toMatchObject({
    sub: 'alice',
    logout_url: `${APP}/oauth2/logout`,
    sessions_url: `${APP}/oauth2/sessions`,
    events_url: `${APP}/oauth2/events`,
  })
  expect(Number.isInteger(left)).toBe(true)
  expect(left).toBeLessThanOrEqual(86_400)
  expect(left).toBeGreaterThan(86_400 - 600)
})

test('with PUBLIC_URL the addresses stay on the host asked', async () => {
  await using shared = await startRelyingParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })
  const { browser } = await shared.attempt()
  const { body } = await browser.fetch('https://other.example.com/oauth2/me')
  expect(parseMe(body)).toMatchObject({
    logout_url: 'https://other.example.com/oauth2/logout',
    sessions_url: 'https://other.example.com/oauth2/sessions',
    events_url: 'https://other.example.com/oauth2/events',
  })
  const page = await browser.get('https://other.example.com/oauth2/sessions')
  expect(page.body).toContain('action="https://other.example.com/oauth2/logout"')
  const stranger = await shared.vestibule.visitor().get('https://other.example.com/oauth2/sessions')
  const rd = 'https://other.example.com/oauth2/sessions'
  expect(stranger.location).toBe(loginRequired(rd).login_url)
})

test('no claim that IDENTITY_HEADERS names replaces a member of /me', async () => {
  party.provider.tamperIdToken({
    ...Object.fromEntries(NAMED.slice(3).map((claim) => [claim, 'of the provider'])),
    email: 'mallory@example.com',
    email_verified: false,
  })
  const { browser } = await party.attempt()
  const body = parseMe((await browser.fetch(ME)).body)
  expect(body).toMatchObject({
    iss: party.provider.issuer,
    department: 'of the provider',
    logout_url: `${APP}/oauth2/logout`,
    expires_in: expect.any(Number) as number,
  })
  expect(body).not.toHaveProperty('email')
  expect(Object.values(body).filter((value) => value === 'of the provider')).toHaveLength(1)
})

test('/me leaves out claims that only conditions compare', async () => {
  await using rules = await writeRules([
    { access: 'signed-in', allow: { claims: { clearance: 'high', department: ['R&D'] } } },
  ])
  await using compared = await startRelyingParty({
    ALLOW_ANY_USER: '',
    IDENTITY_HEADERS: 'X-Department=department',
    VESTIBULE_CONFIG: rules.path,
  })
  compared.provider.tamperIdToken({ clearance: 'high', department: 'R&D' })
  const { browser, isSignedIn } = await compared.attempt()
  expect(isSignedIn).toBe(true)
  const body = parseMe((await browser.fetch(ME)).body)
  expect(body).toMatchObject({ department: 'R&D' })
  expect(body).not.toHaveProperty('clearance')
})

test.for(['', '?slide=false', '?slide=true', '?slide=', '?slide=false&slide=true', '?unknown=1'])(
  '/me%s is answered, and 401 without a session',
  async (query) => {
    const { browser } = await party.attempt()
    expect((await browser.fetch(`${ME}${query}`)).status).toBe(200)
    const stranger = await party.visitor().fetch(`${ME}${query}`)
    expect([stranger.status, parseMe(stranger.body)]).toEqual([401, loginRequired(`${APP}/`)])
  },
)
