import { expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { expectSafePage, type OurPage, ourPages, TWO_SESSIONS } from '../support/our-pages.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { LOGIN, startLogin } from '../support/sign-in-steps.ts'
import { asScript, useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { Visit } from '../support/visitor.ts'

const SVG = '"><svg onload=alert(1)>'
const SCRIPT = `'"></title></style><script>alert(1)</script>`
const PAYLOADS = [
  SVG,
  SCRIPT,
  '<img src=x onerror=alert(1)>',
  '&lt;script&gt;',
  '</pre><script>',
  "' onfocus='alert(1)",
]

const party = useParty(
  { ALLOW_ANY_USER: 'false', ALLOWED_EMAILS: 'alice@example.com' },
  {
    users: [
      ...demoUsers,
      { sub: 'by-email', email: `${SVG}@example.com`, email_verified: true },
      { sub: 'by-username', preferred_username: SCRIPT },
      { sub: 'by-name', name: SCRIPT },
      { sub: SVG },
    ],
  },
)

const { get, check } = party

async function forbidden(sub: string, uri = '/'): Promise<Visit> {
  const { browser } = await party.attempt(sub)
  return check({ uri }, { Cookie: browser.cookies.header(new URL(APP)) })
}

function foreignHost() {
  return party.visitor().get(`http://127.0.0.1:${party.vestibule.publicPort}/oauth2/me`)
}

const pages: readonly OurPage[] = [
  ...ourPages(party),
  ['a user who may not enter', 403, () => forbidden('bob')],
  ['a foreign host at the public listener', 400, foreignHost],
]

test.for(pages)('%s: %i, strict headers, no script', async ([, status, open]) => {
  const page = await open()
  expect(page.status).toBe(status)
  expectSafePage(page, party.provider.issuer)
})

test('the page that leads on after a sign-in with strict cookies is one of them', async () => {
  await using strict = await startRelyingParty({ COOKIE_SAMESITE: 'strict' })
  const { browser, callbackUrl } = await strict.untilCallback()
  const page = await browser.get(callbackUrl)
  expect(page.status).toBe(200)
  expect(page.body).toContain(`url=${APP}/`)
  expectSafePage(page, strict.provider.issuer)
})

test('a page is as strict before the provider has been found', async () => {
  await using alone = await startVestibule({ OIDC_ISSUER_URL: 'http://127.0.0.1:9' })
  const page = await startLogin(alone.visitor())
  expect(page.status).toBe(503)
  expectSafePage(page, 'http://127.0.0.1:9')
})

test.for(['by-email', 'by-username', 'by-name', SVG])(
  'a name made of markup is shown as text: %s',
  async (sub) => {
    const page = await forbidden(sub)
    expect(page.status).toBe(403)
    expectSafePage(page, party.provider.issuer)
    expect(page.body).toMatch(/You are signed in as <strong>[^<]*&(?:lt|quot|#39);/)
  },
)

test.for(PAYLOADS)('markup in addresses and parameters stays text: %s', async (payload) => {
  const encoded = encodeURIComponent(payload)
  const opened = await Promise.all([
    get(`/oauth2/login?rd=${encoded}`),
    get(`/oauth2/login?rd=https://${encoded}`),
    get(`/oauth2/login?rd=javascript:alert(1)//${encoded}`),
    get(`/oauth2/callback?error=${encoded}&error_description=${encoded}`),
    get(`/oauth2/callback?state=${encoded}&code=${encoded}&msg=${encoded}`),
    get(`/oauth2/logout?msg=${encoded}&rd=${encoded}`),
    get(`/oauth2/signed-out?state=${encoded}`),
    get('/oauth2/logout', { headers: { 'X-Request-Id': payload } }),
    check({ host: payload }),
    check({ uri: `/${encoded}?q=${encoded}` }, { Cookie: TWO_SESSIONS }),
    forbidden('bob', `/${payload.replaceAll(' ', '')}`),
    forbidden('bob', `/?q=${encoded}`),
  ])
  for (const page of opened) {
    expectSafePage(page, party.provider.issuer)
    expect(page.body).not.toContain(payload)
  }
})

test('programs get JSON that no browser shows as a page', async () => {
  const headers = { ...asScript, Accept: '*/*', Referer: `${APP}/</script><svg/onload=alert(1)>` }
  const refused = await check({ uri: `/${SVG.replaceAll(' ', '')}` }, headers)
  expect(refused.status).toBe(401)
  const { browser } = await party.attempt(SVG)
  const me = await browser.fetch(`${APP}/oauth2/me`)
  expect(JSON.parse(me.body)).toMatchObject({ sub: SVG })
  const json = { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }
  for (const answer of [refused, me]) expect(answer.headers).toMatchObject(json)
})

test.for<[string, () => Promise<Visit>]>([
  ['an address that does not exist', () => get('/oauth2/<svg onload=alert(1)>')],
  ['an address outside', () => get('/')],
  ['a method that does not exist', () => party.visitor().post(LOGIN)],
  ['a prefetch', () => get('/oauth2/login?rd=/', { headers: { 'Sec-Purpose': 'prefetch' } })],
  ['the internal listener', () => party.vestibule.internal('/oauth2/login')],
  ['a redirect', () => check()],
])('an answer without a page carries no-store and nosniff too: %s', async ([, open]) => {
  const { status, headers, body } = await open()
  expect(status).toBeGreaterThanOrEqual(300)
  expect(body).not.toContain('<')
  const strict = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  expect(headers).toMatchObject(strict)
})

test('pages of https hosts carry Strict-Transport-Security', async () => {
  const page = await get('/oauth2/signed-out')
  expect(page.headers['strict-transport-security']).toMatch(/^max-age=\d{7,}/)
})
