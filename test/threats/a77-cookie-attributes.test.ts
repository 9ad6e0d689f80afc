import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { LOGIN, LOGOUT, startLogin, untilCallback } from '../support/sign-in-steps.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { Visitor } from '../support/visitor.ts'

interface Written {
  readonly name: string
  readonly value: string
  readonly attributes: Readonly<Record<string, string | true>>
}

const parse = (line: string): Written => {
  const [pair = '', ...rest] = line.split('; ')
  const equals = pair.indexOf('=')
  const attributes = rest.map((part): [string, string | true] => {
    const [name = '', value] = part.split('=')
    return [name.toLowerCase(), value ?? true]
  })
  return {
    name: pair.slice(0, equals),
    value: pair.slice(equals + 1),
    attributes: Object.fromEntries(attributes),
  }
}

/** Signs in, out, and in again with a target too long for the state, so that every cookie has been written. */
const writeAll = async (browser: Visitor, origin: string): Promise<readonly Written[]> => {
  const login = `${origin}/oauth2/login?rd=`
  await browser.signIn(`${login}/`, 'alice')
  await browser.post(`${origin}/oauth2/logout`)
  await browser.signIn(`${login}/${'x'.repeat(1500)}`, 'alice')
  const ours = browser.trail.filter(({ url }) => url.startsWith(origin))
  expect(ours.flatMap(({ refusedCookies }) => refusedCookies)).toEqual([])
  return ours.flatMap(({ setCookies }) => setCookies.map(parse))
}

const attributesOf = (
  written: readonly Written[],
  name: string,
): readonly Written['attributes'][] =>
  written.filter((cookie) => cookie.name === name).map(({ attributes }) => attributes)

const safe = { path: '/', httponly: true, secure: true, samesite: 'Lax' }

let party: RelyingParty
let shared: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty({ SESSION_MAX_AGE: '7200' })
  shared = await startRelyingParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await shared[Symbol.asyncDispose]()
})

describe('A77 cookie attributes', () => {
  test('every cookie is __Host-, Secure, HttpOnly, SameSite=Lax, Path=/ and of no domain', async () => {
    const written = await writeAll(party.vestibule.visitor(), APP)
    expect([...new Set(written.map(({ name }) => name))].toSorted()).toEqual([
      '__Host-vestibule',
      '__Host-vestibule_login',
      '__Host-vestibule_target',
    ])
    for (const { attributes } of written) {
      const { 'max-age': maxAge, ...others } = attributes
      expect(others).toEqual(safe)
      expect(maxAge).toMatch(/^\d+$/)
    }
    const ages = attributesOf(written, '__Host-vestibule').map((each) => each['max-age'])
    expect(ages).toEqual(['7200', '0', '7200'])
  })

  test('with COOKIE_DOMAIN only the session is of the domain; what belongs to a sign-in is of the host', async () => {
    const written = await writeAll(shared.vestibule.visitor(), APP)
    const session = attributesOf(written, '__Secure-vestibule').filter(
      (each) => each['max-age'] !== '0',
    )
    expect(session).toHaveLength(2)
    for (const each of session) {
      expect(each).toEqual({ ...safe, domain: 'example.com', 'max-age': '86400' })
    }
    for (const { name, attributes } of written) {
      if (name.startsWith('__Host-')) {
        expect(attributes['domain']).toBeUndefined()
        expect(attributes).toMatchObject(safe)
      }
      expect(name).toMatch(/^__(?:Host|Secure)-vestibule/)
    }
  })

  test.for<[string, string]>([
    ['strict', 'Strict'],
    ['none', 'None'],
  ])('COOKIE_SAMESITE=%s is for the session alone', async ([setting, sameSite]) => {
    await using other = await startRelyingParty({ COOKIE_SAMESITE: setting })
    const browser = other.vestibule.visitor()
    await browser.get(await untilCallback(browser))
    const written = browser.trail.flatMap(({ setCookies, url }) =>
      url.startsWith(APP) ? setCookies.map(parse) : [],
    )
    expect(attributesOf(written, '__Host-vestibule')).toEqual([
      { ...safe, samesite: sameSite, 'max-age': '86400' },
    ])
    for (const each of attributesOf(written, '__Host-vestibule_login')) {
      expect(each).toMatchObject(safe)
    }
  })

  test('on a plain-http host no cookie claims to be secure, and all else stays', async () => {
    const origin = 'http://app.localhost:8080'
    await using vestibule = await startVestibule({
      OIDC_ISSUER_URL: party.provider.issuer,
      OIDC_CLIENT_ID: party.provider.clientId,
      OIDC_CLIENT_SECRET: party.provider.clientSecret,
      PROTECTED_HOSTS: origin,
    })
    await party.provider.allowOrigin(origin)
    const browser = vestibule.visitor(['app.localhost:8080'])
    const written = await writeAll(browser, origin)
    const names = new Set(written.map(({ name }) => name))
    expect(names).toEqual(new Set(['vestibule', 'vestibule_login', 'vestibule_target']))
    for (const { attributes } of written) {
      const { 'max-age': _, ...others } = attributes
      expect(others).toEqual({ path: '/', httponly: true, samesite: 'Lax' })
    }
    expect(vestibule.isAlive()).toBe(true)
  })

  test('COOKIE_NAME names all of them, behind the same prefix', async () => {
    await using other = await startRelyingParty({ COOKIE_NAME: 'gate' })
    const browser = other.vestibule.visitor()
    await startLogin(browser)
    const written = browser.trail.flatMap(({ setCookies }) => setCookies.map(parse))
    expect(written.map(({ name }) => name)).toEqual(['__Host-gate_login'])
  })

  const good = {
    PROTECTED_HOSTS: 'app.example.com',
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: 'https://id.example.com',
    OIDC_CLIENT_ID: 'vestibule',
  }
  test.for<[string, Record<string, string>]>([
    ['COOKIE_NAME', { COOKIE_NAME: '__Host-vestibule' }],
    ['COOKIE_NAME', { COOKIE_NAME: '__Secure-vestibule' }],
    ['COOKIE_NAME', { COOKIE_NAME: 'a=b' }],
    ['COOKIE_NAME', { COOKIE_NAME: 'a; Domain=evil.example' }],
    ['COOKIE_NAME', { COOKIE_NAME: 'a\r\nSet-Cookie: b' }],
    ['COOKIE_NAME', { COOKIE_NAME: 'x'.repeat(41) }],
    ['COOKIE_SAMESITE', { COOKIE_SAMESITE: 'off' }],
    ['COOKIE_SAMESITE', { COOKIE_SAMESITE: 'Lax; Domain=evil.example' }],
    ['COOKIE_SAMESITE', { COOKIE_SAMESITE: 'none', PROTECTED_HOSTS: 'http://app.localhost:8080' }],
    ['COOKIE_DOMAIN', { COOKIE_DOMAIN: 'evil.example; Secure' }],
    ['COOKIE_DOMAIN', { COOKIE_DOMAIN: '.example.com' }],
    ['COOKIE_DOMAIN', { COOKIE_DOMAIN: 'EXAMPLE.com' }],
    ['COOKIE_DOMAIN', { COOKIE_DOMAIN: 'example.com:443' }],
    ['COOKIE_DOMAIN', { COOKIE_DOMAIN: 'other.example', PUBLIC_URL: 'https://app.example.com' }],
    ['SESSION_MAX_AGE', { SESSION_MAX_AGE: '0' }],
    ['SESSION_MAX_AGE', { SESSION_MAX_AGE: '1e9' }],
    ['SESSION_MAX_AGE', { SESSION_MAX_AGE: '60; Domain=evil.example' }],
  ])('the start refuses what would weaken them: %s (%o)', ([setting, wrong]) => {
    expect(() => loadConfig({ ...good, ...wrong })).toThrow(new RegExp(`- ${setting}: `))
  })

  test('the legitimate twins of these settings are taken', () => {
    const config = loadConfig({
      ...good,
      COOKIE_NAME: 'gate',
      COOKIE_SAMESITE: 'none',
      COOKIE_DOMAIN: 'example.com',
      PUBLIC_URL: 'https://auth.example.com',
    })
    expect(config.settings.COOKIE_DOMAIN).toBe('example.com')
  })

  test('a check writes no cookie at all', async () => {
    const { browser } = await party.attempt()
    for (const cookie of [browser.cookies.header(new URL(APP)), undefined, '__Host-vestibule=x']) {
      const visit = await party.vestibule.check({}, { Cookie: cookie })
      expect(visit.setCookies).toEqual([])
    }
    expect((await browser.get(`${LOGIN}?rd=/`)).status).toBe(302)
    expect((await browser.post(LOGOUT)).status).toBe(303)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
