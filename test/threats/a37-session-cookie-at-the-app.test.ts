import { describe, expect, test } from 'vitest'
import { describeBrowsers } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { words } from '../support/words.ts'

const OTHER = 'https://other.example.com'

const hosts = prepared(() => startProxiedHosts({ settings: { PUBLIC_PATHS: '/public/**' } }))
const vestibule = () => hosts().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

function sessionOf(header: string): string {
  return header.split('; ').find((pair) => pair.startsWith('__Host-vestibule=')) ?? ''
}

/** Cookie header of the client, with `$` for its session, and the one that the app may get. */
const headers: readonly (readonly [sent: string, left: string | undefined])[] = [
  ['$', undefined],
  ['a=1; $', 'a=1'],
  ['$; a=1', 'a=1'],
  ['a=1; $; b=2', 'a=1; b=2'],
  ['a=1;$;b=2', 'a=1;b=2'],
  ['a=1;  $ ;\tb=2', 'a=1;\tb=2'],
  ['$; a=1; $', 'a=1'],
  ['$; __Host-vestibule_login=v1.x.0.0; a=1', 'a=1'],
  ['$; __Host-vestibule_target=abc; a=1', 'a=1'],
  ['$; __Host-vestibule_outage=abc; a=1', 'a=1'],
  ['vestibule=x; __Secure-vestibule=y; $; a=1', 'a=1'],
  ['$; vestibule_login=1; __Secure-vestibule_target=2', undefined],
  ...words`
    vestibules=1;\x20vestibule2=2 my-vestibule=1 a=__Host-vestibule=x __HOST-VESTIBULE=x
    a==b=;\x20=c lonely;\x20a=1 a=%3B%20x;\x20b=%00 a=\xc3\xa9\xff
  `.map((kept): [string, string] => [`$; ${kept}`, kept]),
  ['a="1, 2"; $; b={"c":"d"}', 'a="1, 2"; b={"c":"d"}'],
]

describe('A37 the session cookie and the app', () => {
  test.for(headers)('of "%s" the app may have every byte but the session', async ([sent, left]) => {
    const own = sessionOf(cookie())
    const Cookie = sent.replaceAll('$', () => own)
    const visit = await vestibule().check({}, { Cookie })
    expect([visit.status, visit.headers.cookie]).toEqual([200, left])
    expect(visit.rawHeaders.join('\n')).not.toContain(own.slice('__Host-vestibule='.length))
  })

  test.for(headers)('a public path keeps as much of "%s"', async ([sent, left]) => {
    const Cookie = sent.replaceAll('$', () => sessionOf(cookie()))
    const visit = await vestibule().check({ uri: '/public/a' }, { Cookie })
    expect([visit.status, visit.headers.cookie]).toEqual([200, left])
  })

  test('a request without cookies gets no Cookie header back', async () => {
    const visit = await vestibule().check({ uri: '/public/a' })
    expect([visit.status, visit.headers.cookie]).toEqual([200, undefined])
  })

  test('a session of one host is not accepted at another', async () => {
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
    const elsewhere = { host: 'other.example.com' }
    const replayed = await vestibule().check(elsewhere, { Cookie: cookie() })
    expect(replayed.status).toBe(302)
    expect(replayed.headers.location).toMatch(/^https:\/\/other\.example\.com\/oauth2\/login\?/)
    const asked = { Cookie: cookie(), 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
    const script = await vestibule().check(elsewhere, asked)
    expect(script.status).toBe(401)
    const headers = { Cookie: cookie() }
    const me = await vestibule().visitor().fetch(`${OTHER}/oauth2/me`, { headers })
    expect(me.status).toBe(401)
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
  })

  test('a sign-out at another host does not end a session of this one', async () => {
    const headers = { Cookie: cookie() }
    const visit = await vestibule().visitor().post(`${OTHER}/oauth2/logout`, {}, { headers })
    expect([visit.status, visit.headers.location]).toEqual([303, `${OTHER}/oauth2/signed-out`])
    expect((await vestibule().check({}, { Cookie: cookie() })).status).toBe(200)
  })

  test('a session under the name of another variant is not accepted', async () => {
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
    const own = cookieHeader((await renamed.attempt()).browser)
    expect(own).toContain('__Host-door=')
    const visit = await renamed.vestibule.check({}, { Cookie: `${own}; vestibule=theirs` })
    expect([visit.status, visit.headers.cookie]).toEqual([200, 'vestibule=theirs'])
  })
})

describeBrowsers('A37 the session cookie and the app', hosts, (open) => {
  test('the app sees its own cookies and none of ours', async () => {
    const browser = open()
    await browser.signIn(`${APP}/`, 'alice')
    expect(givenTo(givenToApp(await browser.fetch(`${APP}/headers`)), 'Cookie')).toEqual([])
    await browser.fetch(`${APP}/set-cookie?name=basket&value=full`)
    for (const path of ['/headers', '/public/headers']) {
      const app = givenToApp(await browser.fetch(APP + path, { headers: { Accept: '*/*' } }))
      const [given = ''] = givenTo(app, 'Cookie')
      expect(given.split('; ').toSorted()).toEqual(['basket-2=full', 'basket=full'])
      expect(JSON.stringify(app)).not.toMatch(/vestibule|v1\./)
    }
  })

  test('the app sees no session in any spelling of the header', async () => {
    const browser = open()
    await browser.signIn(`${APP}/`, 'alice')
    const headers = { cookie: [cookieHeader(browser) ?? '', 'a=1'] }
    const visit = await browser.fetch(`${APP}/headers`, { headers })
    expect(JSON.stringify(givenToApp(visit))).not.toContain('vestibule')
  })
})
