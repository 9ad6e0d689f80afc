import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { LOGIN, LOGOUT, startLogin, untilCallback } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { Visitor } from '../support/visitor.ts'

type Attributes = Readonly<Record<string, string | true>>
type Written = readonly [name: string, attributes: Attributes]

function parse(line: string): Written {
  const [pair = '', ...rest] = line.split('; ')
  const attributes = rest.map((part): [string, string | true] => {
    const [name = '', value] = part.split('=')
    return [name.toLowerCase(), value ?? true]
  })

  return [pair.slice(0, pair.indexOf('=')), Object.fromEntries(attributes)]
}

function writtenAt(browser: Visitor, origin = APP): readonly Written[] {
  const ours = browser.trail.filter(({ url }) => url.startsWith(origin))
  expect(ours.flatMap(({ refusedCookies }) => refusedCookies)).toEqual([])
  return ours.flatMap(({ setCookies }) => setCookies.map(parse))
}

/** Signs in, out, and in again with a target too long for the state, so that every cookie has been written. */
async function writeAll(browser: Visitor, origin = APP): Promise<readonly Written[]> {
  const login = `${origin}/oauth2/login?rd=`
  await browser.signIn(`${login}/`, 'alice')
  await browser.post(`${origin}/oauth2/logout`)
  await browser.signIn(`${login}/${'x'.repeat(1500)}`, 'alice')
  return writtenAt(browser, origin)
}

function attributesOf(written: readonly Written[], name: string): readonly Attributes[] {
  return written.filter(([each]) => each === name).map(([, attributes]) => attributes)
}

function namesOf(written: readonly Written[]) {
  return [...new Set(written.map(([name]) => name))].toSorted()
}

const SAFE = { path: '/', httponly: true, secure: true, samesite: 'Lax' }
const FOR_A_TIME = { 'max-age': expect.stringMatching(/^\d+$/) as string }
const party = useParty({ SESSION_MAX_AGE: '7200' })
const shared = useParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })

describe('A77 cookie attributes', () => {
  test('every cookie is __Host-, Secure, HttpOnly, SameSite=Lax, Path=/ and of no domain', async () => {
    const written = await writeAll(party.visitor())
    const names = ['__Host-vestibule', '__Host-vestibule_login', '__Host-vestibule_target']
    expect(namesOf(written)).toEqual(names)
    for (const [, attributes] of written) expect(attributes).toEqual({ ...SAFE, ...FOR_A_TIME })
    const ages = attributesOf(written, '__Host-vestibule').map((each) => each['max-age'])
    expect(ages).toEqual(['7200', '0', '7200'])
  })

  test('with COOKIE_DOMAIN only the session is of the domain; the cookies of a sign-in are of the host', async () => {
    const written = await writeAll(shared.visitor())
    const session = attributesOf(written, '__Secure-vestibule').filter(
      (each) => each['max-age'] !== '0',
    )
    const expected = { ...SAFE, domain: 'example.com', 'max-age': '86400' }
    expect(session).toEqual([expected, expected])
    for (const [name, attributes] of written) {
      expect(name).toMatch(/^__(?:Host|Secure)-vestibule/)
      if (!name.startsWith('__Host-')) continue
      expect(attributes).toMatchObject(SAFE)
      expect(attributes['domain']).toBeUndefined()
    }
  })

  test.for<[string, string]>([
    ['strict', 'Strict'],
    ['none', 'None'],
  ])('COOKIE_SAMESITE=%s is for the session alone', async ([setting, sameSite]) => {
    await using other = await startRelyingParty({ COOKIE_SAMESITE: setting })
    const browser = other.vestibule.visitor()
    await browser.get(await untilCallback(browser))
    const written = writtenAt(browser)
    const session = { ...SAFE, samesite: sameSite, 'max-age': '86400' }
    expect(attributesOf(written, '__Host-vestibule')).toEqual([session])
    for (const each of attributesOf(written, '__Host-vestibule_login')) {
      expect(each).toMatchObject(SAFE)
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
    const written = await writeAll(vestibule.visitor(['app.localhost:8080']), origin)
    expect(namesOf(written)).toEqual(['vestibule', 'vestibule_login', 'vestibule_target'])
    const { secure: _, ...others } = SAFE
    for (const [, { 'max-age': __, ...attributes }] of written) expect(attributes).toEqual(others)
  })

  test('COOKIE_NAME names all of them, behind the same prefix', async () => {
    await using other = await startRelyingParty({ COOKIE_NAME: 'gate' })
    const browser = other.vestibule.visitor()
    await startLogin(browser)
    expect(writtenAt(browser).map(([name]) => name)).toEqual(['__Host-gate_login'])
  })

  const good = {
    PROTECTED_HOSTS: 'app.example.com',
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: 'https://id.example.com',
    OIDC_CLIENT_ID: 'vestibule',
  }

  test.for<[string, string, Record<string, string>?]>([
    ['COOKIE_NAME', '__Host-vestibule'],
    ['COOKIE_NAME', '__Secure-vestibule'],
    ['COOKIE_NAME', 'a=b'],
    ['COOKIE_NAME', 'a; Domain=evil.example'],
    ['COOKIE_NAME', 'a\r\nSet-Cookie: b'],
    ['COOKIE_NAME', 'x'.repeat(41)],
    ['COOKIE_SAMESITE', 'off'],
    ['COOKIE_SAMESITE', 'Lax; Domain=evil.example'],
    ['COOKIE_SAMESITE', 'none', { PROTECTED_HOSTS: 'http://app.localhost:8080' }],
    ['COOKIE_DOMAIN', 'evil.example; Secure'],
    ['COOKIE_DOMAIN', '.example.com'],
    ['COOKIE_DOMAIN', 'EXAMPLE.com'],
    ['COOKIE_DOMAIN', 'example.com:443'],
    ['COOKIE_DOMAIN', 'other.example', { PUBLIC_URL: 'https://app.example.com' }],
    ['SESSION_MAX_AGE', '0'],
    ['SESSION_MAX_AGE', '1e9'],
    ['SESSION_MAX_AGE', '60; Domain=evil.example'],
  ])('the start refuses a weaker %s: %j', ([setting, wrong, others]) => {
    const settings = { ...good, [setting]: wrong, ...others }
    expect(() => loadConfig(settings)).toThrow(new RegExp(`- ${setting}: `))
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
    for (const cookie of [browser, undefined, '__Host-vestibule=x']) {
      expect((await party.checkWith(cookie)).setCookies).toEqual([])
    }
    expect((await browser.get(`${LOGIN}?rd=/`)).status).toBe(302)
    expect((await browser.post(LOGOUT)).status).toBe(303)
  })
})
