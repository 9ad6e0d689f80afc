import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useParty()
const EVIL_ISSUER = 'iss=https%3A%2F%2Fhostile.example'

function again(name: string) {
  return (search: string) =>
    `${search}&${new URLSearchParams([[name, new URLSearchParams(search).get(name) ?? '']]).toString()}`
}

function behind(further: string) {
  return (search: string) => `${search}&${further}`
}

function before(further: string) {
  return (search: string) => `?${further}&${search.slice(1)}`
}

const ADDITIONS: readonly (readonly [string, (search: string) => string])[] = [
  ['code, another', behind('code=hostile')],
  ['code, another before it', before('code=hostile')],
  ['code, the same', again('code')],
  ['code, empty', behind('code=')],
  ['code, without a value', behind('code')],
  ['state, another', behind('state=hostile')],
  ['state, another before it', before('state=hostile')],
  ['state, the same', again('state')],
  ['state, empty before it', before('state=')],
  ['iss, another', behind(EVIL_ISSUER)],
  ['iss, another before it', before(EVIL_ISSUER)],
  ['iss, the same', again('iss')],
  ['state, percent-encoded', behind('%73tate=hostile')],
  ['code, percent-encoded before it', before('c%6Fde=hostile')],
  ['iss, percent-encoded', behind('is%73=hostile')],
  ['error, twice', behind('error=hostile&error=access_denied')],
  ['code, a hundred times', behind('code=hostile&'.repeat(100).slice(0, -1))],
]

describe('A55 duplicate parameters', () => {
  test.for(ADDITIONS)('a callback with a parameter twice is refused: %s', async ([, add]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    const target = `/oauth2/callback${add(new URL(callbackUrl).search)}`
    await party.expectNotRedeemed(() => browser.get(callbackUrl, { target }), ['hostile'])
    expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
  })

  test.for(words`
    rd=/&rd=https%3A%2F%2Fhostile.example%2F rd=https%3A%2F%2Fhostile.example%2F&rd=/
    rd=/hostile&rd=/hostile rd=&rd=/hostile rd=/&%72d=https%3A%2F%2Fhostile.example%2F
    rd=/&prompt=login&prompt=none rd=/&prompt=login&prompt=login
  `)('a login with a parameter twice is refused: %s', async (query) => {
    const visit = await party.get(`/oauth2/login?${query}`)
    expect([visit.status, visit.setCookies, visit.location]).toEqual([400, [], undefined])
    expect(visit.headers['cache-control']).toBe('no-store')
    expect(visit.rawHeaders.join('\n') + visit.body).not.toContain('hostile')
    expect(party.provider.count('authorization')).toBe(0)
  })

  test('parameters without a meaning may be repeated', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    const url = `${callbackUrl}&session_state=a&session_state=b&Code=x&code[]=y`
    expect(await browser.get(url)).toMatchObject({ status: 302, location: `${APP}/` })
  })
})
