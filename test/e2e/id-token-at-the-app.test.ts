import { describe, expect, test } from 'vitest'
import { bearerRule, nowSeconds } from '../support/bearers.ts'
import { takeTime } from '../support/passing-time.ts'
import { APP } from '../support/relying-party.ts'
import { changeClaims, claimsOf } from '../support/tokens.ts'
import { useBearerParty } from '../support/used-party.ts'

const party = useBearerParty([bearerRule('/api/**')], {
  PASS_AUTHORIZATION: 'id-token',
  PUBLIC_PATHS: '/public/**',
})
const time = takeTime()

interface Lives {
  readonly accessSeconds: number
  /** Absent for an answer without an ID token. */
  readonly idSeconds?: number
  readonly isRefreshable?: boolean
}

/** Has the token endpoint issue tokens that live so long; returns the ID tokens as they were issued. */
function issue({ accessSeconds, idSeconds, isRefreshable = true }: Lives): readonly string[] {
  const { provider } = party
  const issued: string[] = []
  provider.set('token', {
    rewrite: async ({ id_token: idToken, refresh_token: refreshToken, ...body }) => {
      const answer = {
        ...body,
        expires_in: accessSeconds,
        ...(isRefreshable && { refresh_token: refreshToken }),
      }
      if (idSeconds === undefined) return answer
      const changes = { exp: nowSeconds() + idSeconds, jti: crypto.randomUUID() }
      issued.push(await provider.sign(changeClaims(claimsOf(String(idToken)), changes)))
      return { ...answer, id_token: issued.at(-1) }
    },
  })
  return issued
}

async function authorizationOf(cookie: string, uri = '/'): Promise<string | undefined> {
  const { status, headers } = await party.check({ uri }, { Cookie: cookie })
  expect(status).toBe(200)
  return headers.authorization
}

describe('with PASS_AUTHORIZATION=id-token', () => {
  test('each check of a session carries the ID token of its sign-in, and no log has it', async () => {
    const issued = issue({ accessSeconds: 600, idSeconds: 600 })
    const cookie = await party.vestibule.signIn('alice')
    const [idToken] = issued
    expect(idToken).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    for (let round = 0; round < 2; round++) {
      const { headers } = await party.check({}, { Cookie: cookie, Authorization: 'Bearer x' })
      expect(headers.authorization).toBe(`Bearer ${idToken}`)
      expect(headers['x-auth-request-access-token']).toBeUndefined()
    }
    expect(party.vestibule.output()).not.toContain(idToken)
  })

  test('/me has no token', async () => {
    const issued = issue({ accessSeconds: 600, idSeconds: 600 })
    const { browser } = await party.attempt()
    const { status, body } = await browser.fetch(`${APP}/oauth2/me`)
    expect(status).toBe(200)
    expect(body).toContain('"sub":"alice"')
    const [, payload = ''] = issued[0]?.split('.') ?? []
    expect(payload).toMatch(/^[\w-]{20}/)
    expect(body).not.toContain(payload)
  })

  test('a public page, and a program with a token of its own, get none', async () => {
    const cookie = await party.vestibule.signIn('alice')
    expect(await authorizationOf(cookie, '/public/x')).toBeUndefined()
    const { status, headers } = await party.present(await party.mint(), { uri: '/api/' })
    expect([status, headers.authorization]).toEqual([200, undefined])
  })

  test('an ID token that has expired is not given, and the session goes on', async () => {
    issue({ accessSeconds: 600, idSeconds: 60, isRefreshable: false })
    const cookie = await party.vestibule.signIn('alice')
    expect(await authorizationOf(cookie)).toBeDefined()
    time.pass(60_000)
    expect(await authorizationOf(cookie)).toBeUndefined()
  })

  test.for<[string, Lives]>([
    ['the ID token ends first', { accessSeconds: 600, idSeconds: 60 }],
    ['the access token ends first', { accessSeconds: 60, idSeconds: 600 }],
  ])('each refresh brings another: %s', async ([, lives]) => {
    const issued = issue(lives)
    const cookie = await party.vestibule.signIn('alice')
    expect(await authorizationOf(cookie)).toBe(`Bearer ${issued[0]}`)
    for (const refreshed of [1, 2]) {
      time.pass(61_000)
      expect(await authorizationOf(cookie)).toBe(`Bearer ${issued[refreshed]}`)
      expect(issued).toHaveLength(refreshed + 1)
    }
  })

  test('a refresh that is due comes behind an answer with the ID token before', async () => {
    const issued = issue({ accessSeconds: 600, idSeconds: 60 })
    const cookie = await party.vestibule.signIn('alice')
    time.pass(46_000)
    expect(await authorizationOf(cookie)).toBe(`Bearer ${issued[0]}`)
    await expect.poll(() => issued.length).toBe(2)
    await expect.poll(() => authorizationOf(cookie)).toBe(`Bearer ${issued[1]}`)
  })

  test('a refresh that brings none leaves the ID token until it expires, and comes no more often', async () => {
    const issued = issue({ accessSeconds: 30, idSeconds: 60 })
    const cookie = await party.vestibule.signIn('alice')
    issue({ accessSeconds: 600 })
    time.pass(31_000)
    expect(await authorizationOf(cookie)).toBe(`Bearer ${issued[0]}`)
    const refreshes = await party.tokenRequests(async () => {
      time.pass(30_000)
      expect(await authorizationOf(cookie)).toBeUndefined()
      time.pass(60_000)
      expect(await authorizationOf(cookie)).toBeUndefined()
    })
    expect(refreshes).toBe(0)
  })
})
