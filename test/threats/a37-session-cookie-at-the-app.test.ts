import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { gatewayKinds, givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'

const OTHER = 'https://other.example.com'

const hosts = prepared(() => startProxiedHosts({ settings: { PUBLIC_PATHS: '/public/**' } }))
const vestibule = () => hosts().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

const sessionOf = (header: string): string =>
  header.split('; ').find((pair) => pair.startsWith('__Host-vestibule=')) ?? ''

/** What the client sent beside its session, and what the app may have of it. */
const headers: readonly (readonly [string, (session: string) => string, string | undefined])[] = [
  ['the session alone', (own) => own, undefined],
  ['before the session', (own) => `a=1; ${own}`, 'a=1'],
  ['after the session', (own) => `${own}; a=1`, 'a=1'],
  ['on both sides', (own) => `a=1; ${own}; b=2`, 'a=1; b=2'],
  ['without blanks', (own) => `a=1;${own};b=2`, 'a=1;b=2'],
  ['with many blanks', (own) => `a=1;  ${own} ;\tb=2`, 'a=1;\tb=2'],
  ['the session twice', (own) => `${own}; a=1; ${own}`, 'a=1'],
  ['the binding', (own) => `${own}; __Host-vestibule_login=v1.x.0.0; a=1`, 'a=1'],
  ['the long target', (own) => `${own}; __Host-vestibule_target=abc; a=1`, 'a=1'],
  ['the assertion for outages', (own) => `${own}; __Host-vestibule_outage=abc; a=1`, 'a=1'],
  ['the other variants', (own) => `vestibule=x; __Secure-vestibule=y; ${own}; a=1`, 'a=1'],
  ['all of them', (own) => `${own}; vestibule_login=1; __Secure-vestibule_target=2`, undefined],
  [
    'names that begin like ours',
    (own) => `${own}; vestibules=1; vestibule2=2`,
    'vestibules=1; vestibule2=2',
  ],
  ['names that end like ours', (own) => `${own}; my-vestibule=1`, 'my-vestibule=1'],
  ['our name as a value', (own) => `${own}; a=__Host-vestibule=x`, 'a=__Host-vestibule=x'],
  ['our name in another case', (own) => `${own}; __HOST-VESTIBULE=x`, '__HOST-VESTIBULE=x'],
  ['quotes and commas', (own) => `a="1, 2"; ${own}; b={"c":"d"}`, 'a="1, 2"; b={"c":"d"}'],
  ['signs of equality', (own) => `${own}; a==b=; =c`, 'a==b=; =c'],
  ['a cookie without a name', (own) => `${own}; lonely; a=1`, 'lonely; a=1'],
  ['escapes', (own) => `${own}; a=%3B%20x; b=%00`, 'a=%3B%20x; b=%00'],
  ['bytes above ASCII', (own) => `${own}; a=\xc3\xa9\xff`, 'a=\xc3\xa9\xff'],
]

describe('A37 the session cookie and the app', () => {
  test.for(headers)(
    'the answer takes it away and leaves every other byte: %s',
    async ([, write, left]) => {
      const sent = write(sessionOf(cookie()))
      const visit = await vestibule().check({}, { Cookie: sent })
      expect(visit.status).toBe(200)
      expect(visit.headers.cookie).toBe(left)
      expect(visit.rawHeaders.join('\n')).not.toContain(
        sessionOf(cookie()).slice('__Host-vestibule='.length),
      )
    },
  )

  test.for(headers)('so it does where no sign-in is needed: %s', async ([, write, left]) => {
    const visit = await vestibule().check(
      { uri: '/public/a' },
      { Cookie: write(sessionOf(cookie())) },
    )
    expect([visit.status, visit.headers.cookie]).toEqual([200, left])
  })

  test('a request without cookies gets no Cookie header back', async () => {
    const visit = await vestibule().check({ uri: '/public/a' })
    expect([visit.status, visit.headers.cookie]).toEqual([200, undefined])
  })

  test.for(gatewayKinds)(
    'behind %s the app sees its own cookies and none of ours',
    async (kind, ctx) => {
      const browser = hosts().browser(kind, ctx.skip)
      await browser.signIn(`${APP}/`, 'alice')
      const alone = givenToApp(await browser.fetch(`${APP}/headers`))
      expect(givenTo(alone, 'Cookie')).toEqual([])
      await browser.fetch(`${APP}/set-cookie?name=basket&value=full`)
      for (const path of ['/headers', '/public/headers']) {
        const app = givenToApp(await browser.fetch(APP + path, { headers: { Accept: '*/*' } }))
        const [given = ''] = givenTo(app, 'Cookie')
        expect(given.split('; ').toSorted()).toEqual(['basket-2=full', 'basket=full'])
        expect(JSON.stringify(app)).not.toMatch(/vestibule|v1\./)
      }
    },
  )

  test.for(gatewayKinds)(
    'behind %s the app sees no session in any spelling of the header',
    async (kind, ctx) => {
      const browser = hosts().browser(kind, ctx.skip)
      await browser.signIn(`${APP}/`, 'alice')
      const own = browser.cookies.header(new URL(APP))
      const visit = await browser.fetch(`${APP}/headers`, {
        headers: { cookie: [own ?? '', 'a=1'] },
      })
      expect(JSON.stringify(givenToApp(visit))).not.toContain('vestibule')
    },
  )

  test('a session of one host is none at another', async () => {
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
    const replayed = await vestibule().check({ host: 'other.example.com' }, { Cookie: cookie() })
    expect(replayed.status).toBe(302)
    expect(replayed.headers.location).toMatch(/^https:\/\/other\.example\.com\/oauth2\/login\?/)
    const script = await vestibule().check(
      { host: 'other.example.com' },
      { Cookie: cookie(), 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
    )
    expect(script.status).toBe(401)
    const me = await vestibule()
      .visitor()
      .fetch(`${OTHER}/oauth2/me`, { headers: { Cookie: cookie() } })
    expect(me.status).toBe(401)
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
  })

  test('nor does it end a session, or anything else, there', async () => {
    const visit = await vestibule()
      .visitor()
      .post(`${OTHER}/oauth2/logout`, {}, { headers: { Cookie: cookie() } })
    expect([visit.status, visit.headers.location]).toEqual([303, `${OTHER}/oauth2/signed-out`])
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
  })

  test('under the name of another variant it is none either', async () => {
    const value = sessionOf(cookie()).slice('__Host-vestibule='.length)
    for (const name of ['vestibule', '__Secure-vestibule', '__host-vestibule', 'Vestibule']) {
      const visit = await vestibule().check({}, { Cookie: `${name}=${value}` })
      expect(visit.status, name).toBe(302)
    }
  })

  test('with COOKIE_DOMAIN the hosts below it share a session, and apps still never see it', async () => {
    await using shared = await startRelyingParty({ COOKIE_DOMAIN: 'example.com' })
    const own = await shared.vestibule.signIn('alice')
    expect(own).toContain('__Secure-vestibule=')
    for (const host of ['app.example.com', 'other.example.com']) {
      const visit = await shared.vestibule.check({ host }, { Cookie: `${own}; a=1` })
      expect([visit.status, visit.headers.cookie]).toEqual([200, 'a=1'])
    }
  })

  test('a cookie of another name is taken away as well', async () => {
    await using renamed = await startRelyingParty({ COOKIE_NAME: 'door' })
    const browser = renamed.vestibule.visitor()
    await browser.signIn(`${APP}/oauth2/login?rd=/`, 'alice')
    const own = browser.cookies.header(new URL(APP))
    expect(own).toContain('__Host-door=')
    const visit = await renamed.vestibule.check({}, { Cookie: `${own}; vestibule=theirs` })
    expect([visit.status, visit.headers.cookie]).toEqual([200, 'vestibule=theirs'])
  })
})
