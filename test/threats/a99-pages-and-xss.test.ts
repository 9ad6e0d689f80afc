import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { faults } from '../support/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
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

let party: RelyingParty

beforeAll(async () => {
  const email = { email: `${SVG}@example.com`, email_verified: true }
  party = await startRelyingParty(
    { ALLOW_ANY_USER: 'false', ALLOWED_EMAILS: 'alice@example.com' },
    {
      users: [
        ...demoUsers,
        { sub: 'by-email', ...email },
        { sub: 'by-username', preferred_username: SCRIPT },
        { sub: 'by-name', name: SCRIPT },
        { sub: SVG },
      ],
    },
  )
})
afterAll(() => party[Symbol.asyncDispose]())

const TAGS = 'html head meta title style body main h1 p a form input button strong footer'.split(
  ' ',
)

/** What A99 asks of a page, whatever is on it. */
const expectSafePage = (visit: Visit, issuer: string): void => {
  const { headers, body } = visit
  expect(headers['content-type']).toBe('text/html; charset=UTF-8')
  expect(headers['x-content-type-options']).toBe('nosniff')
  expect(headers['referrer-policy']).toBe('same-origin')
  expect(headers['cross-origin-opener-policy']).toBe('same-origin')
  expect(headers['cache-control']).toBe('no-store')
  expect(headers['x-request-id']).toMatch(/^[A-Za-z0-9._-]{8,64}$/)

  const policy = new Map(
    String(headers['content-security-policy'])
      .split(';')
      .map((directive) => directive.trim().split(/\s+/))
      .map(([name = '', ...values]) => [name, values.join(' ')]),
  )
  const style = /<style>([\s\S]*?)<\/style>/.exec(body)?.[1] ?? ''
  const styleHash = createHash('sha256').update(style).digest('base64')
  expect(Object.fromEntries(policy)).toEqual({
    'default-src': "'none'",
    'style-src': `'sha256-${styleHash}'`,
    'form-action': `'self' ${new URL(issuer).origin}`,
    'frame-ancestors': "'none'",
    'base-uri': "'none'",
  })
  expectInertMarkup(body)
}

const expectInertMarkup = (body: string): void => {
  const tags = [...body.matchAll(/<\/?([a-z][a-z0-9]*)/gi)].map(([, name = '']) =>
    name.toLowerCase(),
  )
  expect(tags.filter((name) => !TAGS.includes(name))).toEqual([])
  const insideTags = [...body.matchAll(/<[a-z][^>]*>/gi)].map(([tag]) => tag).join('\n')
  expect(insideTags).not.toMatch(/\s(?:on[a-z]+|style|srcdoc|src)\s*=/i)
  expect(insideTags).not.toMatch(/javascript:|data:|vbscript:/i)
  const links = [...insideTags.matchAll(/\s(?:href|action)="([^"]*)"/g)].map(
    ([, link = '']) => link,
  )
  for (const link of links) expect(link === '/' || link.startsWith(`${APP}/`)).toBe(true)
}

const get = (path: string) => party.vestibule.visitor().get(`${APP}${path}`)

const callbackWhile = async (behaviour: Parameters<RelyingParty['provider']['set']>[1]) => {
  party.provider.set('token', behaviour)
  const { answer } = await party.attempt()
  party.provider.reset()
  return answer
}

const forbidden = async (sub: string, uri = '/') => {
  const { browser } = await party.attempt(sub)
  const cookie = browser.cookies.header(new URL(APP))
  return party.vestibule.check({ uri }, { Cookie: cookie, ...NAVIGATION })
}

const NAVIGATION = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }

const pages: readonly (readonly [string, number, () => Promise<Visit>])[] = [
  ['the question before the sign-out', 200, () => get('/oauth2/logout')],
  ['the signed-out page', 200, () => get('/oauth2/signed-out')],
  ['a sign-in that failed', 400, () => get('/oauth2/callback?state=x&code=y')],
  ['a return address that is refused', 400, () => get('/oauth2/login?rd=//evil.example')],
  ['a provider that answers nonsense', 502, () => callbackWhile(faults.html)],
  ['a provider that is away', 503, () => callbackWhile(faults.down)],
  ['somebody who may not enter', 403, () => forbidden('bob')],
  ['a sign-in loop', 400, () => loop()],
  [
    'two session cookies',
    400,
    () => party.vestibule.check({}, { Cookie: '__Host-vestibule=a; __Host-vestibule=b' }),
  ],
  ['a foreign host at the check', 400, () => party.vestibule.check({ host: 'evil.example' })],
  ['the sign-in router', 403, () => party.vestibule.check({ uri: '/oauth2/login' })],
  [
    'a foreign host at the public listener',
    400,
    () => party.vestibule.visitor().get(`http://127.0.0.1:${party.vestibule.publicPort}/oauth2/me`),
  ],
]

const loop = async (): Promise<Visit> => {
  const browser = party.vestibule.visitor()
  const visits: Visit[] = []
  for (let round = 0; round < 5; round += 1) {
    visits.push(await browser.signIn(`${APP}/oauth2/login?rd=/`, 'alice'))
    browser.cookies.remove('__Host-vestibule')
  }
  const page = visits.find(({ body }) => body.includes('keeps starting over'))
  if (!page) throw new Error('the loop was not stopped')
  return page
}

describe('A99 HTML pages and XSS', () => {
  test.for(pages)('%s: %i, strict headers, no script', async ([, status, open], { expect }) => {
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
    const page = await alone.visitor().get(`${APP}/oauth2/login?rd=/`)
    expect(page.status).toBe(503)
    expectSafePage(page, 'http://127.0.0.1:9')
  })

  test.for(['by-email', 'by-username', 'by-name', SVG])(
    'a name made of markup is shown as text: %s',
    async (sub, { expect }) => {
      const page = await forbidden(sub)
      expect(page.status).toBe(403)
      expectSafePage(page, party.provider.issuer)
      expect(page.body).toMatch(/You are signed in as <strong>[^<]*&(?:lt|quot|#39);/)
    },
  )

  test.for(PAYLOADS)('markup in addresses and parameters stays text: %s', async (payload) => {
    const encoded = encodeURIComponent(payload)
    const { visitor, check } = party.vestibule
    const opened = await Promise.all([
      get(`/oauth2/login?rd=${encoded}`),
      get(`/oauth2/login?rd=https://${encoded}`),
      get(`/oauth2/login?rd=javascript:alert(1)//${encoded}`),
      get(`/oauth2/callback?error=${encoded}&error_description=${encoded}`),
      get(`/oauth2/callback?state=${encoded}&code=${encoded}&msg=${encoded}`),
      get(`/oauth2/logout?msg=${encoded}&rd=${encoded}`),
      get(`/oauth2/signed-out?state=${encoded}`),
      visitor().get(`${APP}/oauth2/logout`, { headers: { 'X-Request-Id': payload } }),
      check({ host: payload }),
      check(
        { uri: `/${encoded}?q=${encoded}` },
        { Cookie: '__Host-vestibule=a; __Host-vestibule=b' },
      ),
      forbidden('bob', `/${payload.replaceAll(' ', '')}`),
      forbidden('bob', `/?q=${encoded}`),
    ])
    for (const page of opened) {
      expectSafePage(page, party.provider.issuer)
      expect(page.body).not.toContain(payload)
    }
  })

  test('what programs get is JSON that no browser shows as a page', async () => {
    const uri = `/${SVG.replaceAll(' ', '')}`
    const script = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty', Accept: '*/*' }
    const refused = await party.vestibule.check(
      { uri },
      { ...script, Referer: `${APP}/</script><svg/onload=alert(1)>` },
    )
    expect(refused.status).toBe(401)
    const { browser } = await party.attempt(SVG)
    const me = await browser.fetch(`${APP}/oauth2/me`)
    expect(JSON.parse(me.body)).toMatchObject({ sub: SVG })
    for (const { headers } of [refused, me]) {
      expect(headers['content-type']).toBe('application/json')
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  test.for<[string, () => Promise<Visit>]>([
    ['an address that does not exist', () => get('/oauth2/<svg onload=alert(1)>')],
    ['an address outside', () => get('/')],
    ['a method that does not exist', () => party.vestibule.visitor().post(`${APP}/oauth2/login`)],
    [
      'a prefetch',
      () =>
        party.vestibule
          .visitor()
          .get(`${APP}/oauth2/login?rd=/`, { headers: { 'Sec-Purpose': 'prefetch' } }),
    ],
    ['the internal listener', () => party.vestibule.internal('/oauth2/login')],
    ['a redirect', () => party.vestibule.check()],
  ])(
    'an answer without a page carries no-store and nosniff too: %s',
    async ([, open], { expect }) => {
      const { status, headers, body } = await open()
      expect(status).toBeGreaterThanOrEqual(300)
      expect(body).not.toContain('<')
      expect(headers['cache-control']).toBe('no-store')
      expect(headers['x-content-type-options']).toBe('nosniff')
    },
  )

  test('pages of https hosts carry Strict-Transport-Security', async () => {
    const page = await get('/oauth2/signed-out')
    expect(page.headers['strict-transport-security']).toMatch(/^max-age=\d{7,}/)
  })

  test('afterwards the service is alive', () => {
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
