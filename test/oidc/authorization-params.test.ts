import { describe, expect, test } from 'vitest'
import { nowSeconds } from '../support/bearers.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { expectFailedSignIn, LOGIN } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const PARAMS = [
  'acr_values=urn:mfa urn:pwd',
  'max_age=3600',
  'login_hint=alice%40example.com',
  'prompt=consent',
  'claims={"id_token":{"acr":null}}',
].join(',')

const party = useParty(
  { OIDC_AUTHORIZATION_PARAMS: PARAMS },
  { configuration: { features: { claimsParameter: { enabled: true } } } },
)

async function askedAt(path: string): Promise<URLSearchParams> {
  const { location } = await party.visitor().get(`${LOGIN}${path}`)
  return new URL(location ?? '').searchParams
}

describe('OIDC_AUTHORIZATION_PARAMS', () => {
  test('goes along with every authorization request, beside what is ours', async () => {
    for (let time = 1; time <= 2; time += 1) {
      const sent = await askedAt('?rd=/')
      expect(Object.fromEntries(sent)).toMatchObject({
        acr_values: 'urn:mfa urn:pwd',
        max_age: '3600',
        login_hint: 'alice@example.com',
        prompt: 'consent',
        scope: 'openid profile email groups',
      })
      for (const own of ['client_id', 'redirect_uri', 'state', 'nonce', 'code_challenge']) {
        expect(sent.getAll(own)).toHaveLength(1)
      }
    }
  })

  test('prompt is completed by our own wish for a new sign-in, and by nothing else', async () => {
    expect((await askedAt('?rd=/&prompt=login')).getAll('prompt')).toEqual(['consent login'])
    for (const wish of ['none', 'consent', 'select_account', 'LOGIN', '']) {
      expect((await askedAt(`?rd=/&prompt=${wish}`)).getAll('prompt')).toEqual(['consent'])
    }
  })

  test.for<[string, () => number | string | undefined]>([
    ['does not say when', () => undefined],
    ['was too long ago', () => nowSeconds() - 3600 - 60],
    ['is not a time', () => 'now'],
    ['is before all time', () => -1],
  ])('max_age: a sign-in at the provider that %s is none here', async ([, authTime]) => {
    party.provider.tamperIdToken({ auth_time: authTime() })
    const { answer, isSignedIn, browser } = await party.attempt()
    expect(isSignedIn).toBe(false)
    expectFailedSignIn(answer)
    expect(browser.cookies.find('__Host-vestibule')).toBeUndefined()
  })

  test('max_age: one that was just recent enough counts, and so does that of the provider itself', async () => {
    expect((await party.attempt()).isSignedIn).toBe(true)
    party.provider.tamperIdToken({ auth_time: nowSeconds() - 3590 })
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test('without max_age nobody asks when', async () => {
    await using plain = await startRelyingParty()
    plain.provider.tamperIdToken({ auth_time: 1 })
    expect((await plain.attempt()).isSignedIn).toBe(true)
  })
})
