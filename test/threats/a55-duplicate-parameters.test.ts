import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { expectFailedSignIn, LOGIN, SESSION_COOKIE } from '../support/sign-in-steps.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
beforeEach(() => party.provider.forgetRequests())
afterAll(() => party[Symbol.asyncDispose]())

/** Puts a further copy of a parameter before or behind the ones that the provider sent. */
const additions: readonly (readonly [string, (search: string, all: URLSearchParams) => string])[] =
  [
    ['code, another', (search) => `${search}&code=hostile`],
    ['code, another before it', (search) => `?code=hostile&${search.slice(1)}`],
    ['code, the same', (search, all) => `${search}&code=${all.get('code') ?? ''}`],
    ['code, empty', (search) => `${search}&code=`],
    ['code, without a value', (search) => `${search}&code`],
    ['state, another', (search) => `${search}&state=hostile`],
    ['state, another before it', (search) => `?state=hostile&${search.slice(1)}`],
    ['state, the same', (search, all) => `${search}&state=${all.get('state') ?? ''}`],
    ['state, empty before it', (search) => `?state=&${search.slice(1)}`],
    ['iss, another', (search) => `${search}&iss=https%3A%2F%2Fhostile.example`],
    ['iss, another before it', (search) => `?iss=https%3A%2F%2Fhostile.example&${search.slice(1)}`],
    [
      'iss, the same',
      (search, all) => `${search}&${new URLSearchParams({ iss: all.get('iss') ?? '' }).toString()}`,
    ],
    ['state, percent-encoded', (search) => `${search}&%73tate=hostile`],
    ['code, percent-encoded before it', (search) => `?c%6Fde=hostile&${search.slice(1)}`],
    ['iss, percent-encoded', (search) => `${search}&is%73=hostile`],
    ['error, twice', (search) => `${search}&error=hostile&error=access_denied`],
    ['code, a hundred times', (search) => `${search}${'&code=hostile'.repeat(100)}`],
  ]

describe('A55 duplicate parameters', () => {
  test.for(additions)('a callback with a parameter twice is refused: %s', async ([, add]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    party.provider.forgetRequests()
    const { search, searchParams } = new URL(callbackUrl)
    const target = `/oauth2/callback${add(search, searchParams)}`
    const visit = await browser.get(callbackUrl, { target })
    expectFailedSignIn(visit, ['hostile'])
    expect(party.provider.count('token')).toBe(0)

    const finished = await browser.get(callbackUrl)
    expect([finished.status, finished.location]).toEqual([302, `${APP}/`])
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
  })

  test.for([
    'rd=/&rd=https%3A%2F%2Fhostile.example%2F',
    'rd=https%3A%2F%2Fhostile.example%2F&rd=/',
    'rd=/hostile&rd=/hostile',
    'rd=&rd=/hostile',
    'rd=/&%72d=https%3A%2F%2Fhostile.example%2F',
    'rd=/&prompt=login&prompt=none',
    'rd=/&prompt=login&prompt=login',
  ])('a login with a parameter twice is refused: %s', async (query) => {
    const visit = await party.vestibule.visitor().get(`${LOGIN}?${query}`)
    expect([visit.status, visit.setCookies, visit.location]).toEqual([400, [], undefined])
    expect(visit.headers['cache-control']).toBe('no-store')
    expect(visit.rawHeaders.join('\n') + visit.body).not.toContain('hostile')
    expect(party.provider.count('authorization')).toBe(0)
  })

  test('parameters that mean nothing here may come as often as they like', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    const visit = await browser.get(
      `${callbackUrl}&session_state=a&session_state=b&Code=x&code[]=y`,
    )
    expect([visit.status, visit.location]).toEqual([302, `${APP}/`])
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
