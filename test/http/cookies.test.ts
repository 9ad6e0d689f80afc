import { describe, expect, test } from 'vitest'
import { cookieBases, cookieVariants } from '../../src/core/cookie-names.ts'
import { createSite } from '../../src/core/site.ts'
import { type CookieOptions, createCookies } from '../../src/http/cookies.ts'
import { rawRequest } from '../support/raw-request.ts'
import { words } from '../support/words.ts'

const secure = createSite('https', 'app.example.com', '')
const plain = createSite('http', 'app.localhost', '8080')
const options: CookieOptions = {
  name: 'vestibule',
  domain: undefined,
  sameSite: 'lax',
  sessionMaxAgeSeconds: 86_400,
  outageGraceSeconds: 300,
}
const VALUE = `v1.${'i'.repeat(43)}.${'s'.repeat(43)}`
const binding = { secret: 's'.repeat(43), rounds: 2, sinceSeconds: 1_700_000_000 }
const attributesOf = (cookie: string) => cookie.split('; ').slice(1).toSorted()
const nameOf = (cookie: string) => cookie.slice(0, cookie.indexOf('='))

const hostOnly = createCookies(options)
const shared = createCookies({ ...options, domain: 'example.com' })
const DOMAIN = 'Domain=example.com'
const PLACES = [
  ['an https host', hostOnly, secure, '__Host-vestibule', ['Secure']],
  ['a domain', shared, secure, '__Secure-vestibule', ['Secure', DOMAIN]],
  ['an http host', hostOnly, plain, 'vestibule', []],
  ['an http domain', shared, plain, 'vestibule', [DOMAIN]],
] as const
const SAME_SITE = [
  ['strict', 'SameSite=Strict'],
  ['none', 'SameSite=None'],
] as const
const everywhere = [hostOnly, shared].flatMap((cookies) =>
  [secure, plain].map((site) => ({ cookies, site })),
)

describe('writing cookies (A77)', () => {
  test('clearing takes every variant that could be there', () => {
    const ended = words`__Host-vestibule __Host-vestibule_outage`
    expect(hostOnly.clearSession(secure).map(nameOf)).toEqual(ended)
    expect(shared.clearSession(secure).map(nameOf)).toEqual(words`
      __Host-vestibule __Secure-vestibule __Secure-vestibule __Host-vestibule_outage
      __Secure-vestibule_outage __Secure-vestibule_outage
    `)
    const without = createCookies({ ...options, outageGraceSeconds: 0 })
    expect(without.clearSession(secure).map(nameOf)).toEqual(['__Host-vestibule'])
    const all = [secure, plain].flatMap((site) => shared.clearSession(site))
    for (const cookie of [...all, hostOnly.clearTarget(secure)]) {
      expect(cookie).toMatch(/^[A-Za-z_-]+=;/)
      expect(attributesOf(cookie)).toContain('Max-Age=0')
    }
  })

  test.for(PLACES)(
    'the outage assertion of %s reaches as far as the session, and lives for the grace',
    ([, cookies, site, name, further]) => {
      const cookie = cookies.outage(site, 'v1.a.b')
      expect(cookie.startsWith(`${name}_outage=v1.a.b;`)).toBe(true)
      expect(attributesOf(cookie)).toEqual(
        ['HttpOnly', 'Max-Age=300', 'Path=/', 'SameSite=Lax', ...further].toSorted(),
      )
    },
  )

  test.for(SAME_SITE)(
    'SameSite=%s is for the outage assertion too, since it goes with the session',
    ([sameSite, written]) => {
      const cookies = createCookies({ ...options, sameSite })
      expect(attributesOf(cookies.outage(secure, 'x'))).toContain(written)
      for (const cleared of cookies.clearSession(secure)) {
        expect(attributesOf(cleared)).toEqual(expect.arrayContaining([written, 'Max-Age=0']))
      }
    },
  )
})

describe('reading cookies', () => {
  const credential = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
  const OTHER = VALUE.replace('ss', 'sr')
  const raw = (cookie: string) => rawRequest({ Cookie: cookie })

  test.for<[string, string, unknown]>([
    ['two sessions', `__Host-vestibule=${VALUE}; __Host-vestibule=${OTHER}`, 'ambiguous'],
    ['a session of another form', '__Host-vestibule=v2.x', undefined],
  ])('%s', ([, cookie, expected]) =>
    expect(hostOnly.readSession(raw(cookie), secure)).toEqual(expected),
  )

  test('of more sessions than any browser has the first eight are read', () => {
    const values = Array.from({ length: 9 }, (_, at) => VALUE.replace('ii', `${at}i`))
    const cookie = ['junk', ...values].map((value) => `__Host-vestibule=${value}`).join('; ')
    const ids = hostOnly.readSessions(raw(cookie), secure).map(({ id }) => id[0])
    expect(ids).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
  })

  test('without a Cookie header there is nothing', () => {
    expect(hostOnly.readSession(rawRequest({}), secure)).toBeUndefined()
    expect(hostOnly.readSessions(rawRequest({}), secure)).toEqual([])
    expect(hostOnly.readBinding(rawRequest({}), secure)).toBeUndefined()
    expect(hostOnly.readTarget(rawRequest({}), secure)).toBeUndefined()
  })

  test('what was written is read by the same installation, on the same kind of host', () => {
    for (const { cookies, site } of everywhere) {
      const written = [
        cookies.session(site, VALUE),
        cookies.binding(site, binding),
        cookies.target(site, 'sealed_target-1'),
      ].map((cookie) => cookie.slice(0, cookie.indexOf(';')))
      const request = raw(written.join('; '))
      expect(nameOf(cookies.session(site, VALUE))).toBe(cookies.sessionName(site))
      expect(cookies.readSession(request, site)).toEqual(credential)
      expect(cookies.readBinding(request, site)).toEqual(binding)
      expect(cookies.readTarget(request, site)).toBe('sealed_target-1')
      for (const cookie of written) expect(cookies.ownNames).toContain(nameOf(cookie))
    }
  })

  const login = (letter: string) => `__Host-vestibule_login=v1.${letter.repeat(43)}.0.0`
  test.for([
    ['two bindings', `${login('a')}; ${login('b')}`],
    ['a binding of another form', '__Host-vestibule_login=v1.x'],
    ['two targets', '__Host-vestibule_target=a; __Host-vestibule_target=b'],
  ])('%s are as good as none', ([, cookie = '']) => {
    expect(hostOnly.readBinding(raw(cookie), secure)).toBeUndefined()
    expect(hostOnly.readTarget(raw(cookie), secure)).toBeUndefined()
  })

  test.for<[string, string, string | undefined]>([
    ['one', '__Host-vestibule_outage=v1.a.b', 'v1.a.b'],
    ['one twice', '__Host-vestibule_outage=v1.a.b; __Host-vestibule_outage=v1.a.b', 'v1.a.b'],
    ['two', '__Host-vestibule_outage=v1.a.b; __Host-vestibule_outage=v1.a.c', undefined],
    ['none', 'a=1', undefined],
    ['the name without its prefix', 'vestibule_outage=v1.a.b', undefined],
    ['the name of a domain', '__Secure-vestibule_outage=v1.a.b', undefined],
    ['the session alone', `__Host-vestibule=${VALUE}`, undefined],
  ])('of outage assertions %s counts as it should', ([, cookie, expected]) =>
    expect(hostOnly.readOutage(raw(cookie), secure)).toBe(expected),
  )

  test('the outage assertion that was written is read on the same kind of host', () => {
    for (const { cookies, site } of everywhere) {
      const cookie = cookies.outage(site, 'v1.s44we8.AAAA-_')
      const request = raw(cookie.slice(0, cookie.indexOf(';')))
      expect(cookies.readOutage(request, site)).toBe('v1.s44we8.AAAA-_')
      expect(cookieVariants(cookieBases('vestibule').outage)).toContain(nameOf(cookie))
    }
  })

  test('every name of ours is kept from apps, in every variant', () => {
    const bases = words`vestibule vestibule_login vestibule_target vestibule_outage`
    const names = bases.flatMap((base) => [base, `__Host-${base}`, `__Secure-${base}`])
    expect(hostOnly.ownNames).toEqual(new Set(names))
  })
})

describe('expiring planted cookies (C07)', () => {
  const twice = (name: string) => rawRequest({ Cookie: `${name}=a; ${name}=b` })

  test('a name with two values expires for every path prefix and parent domain', () => {
    const lines = hostOnly.clearPlanted(twice('vestibule'), plain, '/a')
    const expected = ['Path=/', 'Path=/a', 'Path=/a/', undefined].flatMap((path) =>
      [undefined, 'Domain=app.localhost'].map((domain) =>
        [domain, 'HttpOnly', 'Max-Age=0', path, 'SameSite=Lax'].filter(Boolean).join(),
      ),
    )
    expect(new Set(lines.map((line) => attributesOf(line).join()))).toEqual(new Set(expected))
    expect(lines).toHaveLength(expected.length)
    expect(new Set(lines.map(nameOf))).toEqual(new Set(['vestibule']))
  })

  test('a host that is an address has no parent domain', () => {
    const local = createSite('http', '127.0.0.1', '8080')
    const lines = hostOnly.clearPlanted(twice('vestibule'), local, '/')
    expect(lines.some((line) => line.includes('Domain='))).toBe(false)
    expect(lines).not.toEqual([])
  })

  test.for([
    ['vestibule', plain, 'vestibule=a; vestibule=a'],
    ['__Host-vestibule', secure, '__Host-vestibule=a; __Host-vestibule=b'],
    ['no cookie', plain, ''],
  ] as const)('nothing expires for %s on %s', ([, site, cookie]) =>
    expect(hostOnly.clearPlanted(rawRequest({ Cookie: cookie }), site, '/a')).toEqual([]),
  )
})
