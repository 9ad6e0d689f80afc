import { expect, test } from 'vitest'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { untilCallback } from '../support/sign-in-steps.ts'
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
  const all = attributesOf(written, '__Secure-vestibule')
  const session = all.filter((each) => each['max-age'] !== '0')
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

test('COOKIE_PERSISTENT=false gives the session cookie no end, and signing out expires it as ever', async () => {
  await using other = await startRelyingParty({ COOKIE_PERSISTENT: 'false' })
  const written = await writeAll(other.vestibule.visitor())
  const session = attributesOf(written, '__Host-vestibule')
  expect(session).toEqual([SAFE, { ...SAFE, 'max-age': '0' }, SAFE])
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
