import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestProvider } from '../support/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import {
  cookieHeader,
  LOGIN,
  sentAlong,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { startVestibule } from '../support/vestibule.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty({ LOG_LEVEL: 'trace' })
})
beforeEach(() => party.provider.forgetRequests())
afterAll(() => party[Symbol.asyncDispose]())

const challengeOf = (verifier: string): string =>
  createHash('sha256').update(verifier).digest('base64url')

const verifiersSent = (): readonly string[] =>
  party.provider
    .requests('token')
    .map(({ body }) => new URLSearchParams(body).get('code_verifier') ?? '')

describe('A58 PKCE downgrade, plain and missing', () => {
  test('every login has S256 and a challenge of its own', async () => {
    const browser = party.vestibule.visitor()
    const challenges = new Set<string>()
    for (let login = 1; login <= 20; login += 1) {
      const started = await startLogin(browser)
      expect(sentAlong(started, 'code_challenge_method')).toBe('S256')
      challenges.add(sentAlong(started, 'code_challenge'))
    }
    expect(challenges.size).toBe(20)
    for (const challenge of challenges) expect(challenge).toMatch(/^[\w-]{43}$/)
  })

  test.for([
    'code_challenge_method=plain',
    'code_challenge_method=plain&code_challenge=hostile',
    'code_challenge=hostile',
    'code_challenge=&code_challenge_method=',
    'code_verifier=hostile',
  ])('the visitor has no say in it: %s', async (query) => {
    const started = await party.vestibule.visitor().get(`${LOGIN}?rd=/&${query}`)
    expect(sentAlong(started, 'code_challenge_method')).toBe('S256')
    expect(sentAlong(started, 'code_challenge')).toMatch(/^[\w-]{43}$/)
    expect(started.location).not.toContain('hostile')
    expect(started.location).not.toContain('plain')
  })

  test('the verifier reaches the token endpoint and nothing else', async () => {
    const browser = party.vestibule.visitor()
    const started = await startLogin(browser)
    const challenge = sentAlong(started, 'code_challenge')
    const cookiesBefore = cookieHeader(browser)
    await browser.follow(started)
    const page = browser.trail.at(-1)
    await browser.submit(page ?? started, { login: 'alice' })

    const [verifier = '', ...more] = verifiersSent()
    expect(more).toEqual([])
    expect(verifier).toMatch(/^[\w.~-]{43,128}$/)
    expect(challengeOf(verifier)).toBe(challenge)
    const seen = browser.trail.flatMap(({ url, body, rawHeaders }) => [url, body, ...rawHeaders])
    expect([...seen, cookiesBefore, party.vestibule.output()].join('\n')).not.toContain(verifier)
    const checked = await party.vestibule.check({}, { Cookie: cookieHeader(browser) })
    expect(checked.headers['x-auth-request-user']).toBe('alice')
  })

  test('a code without its verifier is never redeemed', async () => {
    await Promise.all([party.attempt('alice'), party.attempt('bob')])
    expect(verifiersSent()).toHaveLength(2)
    for (const verifier of verifiersSent()) expect(verifier).toMatch(/^[\w-]{43}$/)
    expect(new Set(verifiersSent()).size).toBe(2)
  })

  test.for<[string, unknown]>([
    ['only plain', ['plain']],
    ['nothing', undefined],
    ['an empty list', []],
    ['plain before S256', ['plain', 'S256']],
  ])('a provider that announces %s still gets S256', async ([, methods]) => {
    await using provider = await startTestProvider({ origins: [APP] })
    provider.set('discovery', {
      rewrite: (metadata) => ({ ...metadata, code_challenge_methods_supported: methods }),
    })
    await using vestibule = await startVestibule({
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: provider.clientId,
      OIDC_CLIENT_SECRET: provider.clientSecret,
    })
    const browser = vestibule.visitor()
    const started = await startLogin(browser)
    expect(sentAlong(started, 'code_challenge_method')).toBe('S256')
    expect((await browser.get(await untilCallback(browser))).status).toBe(302)
    const [{ body } = { body: '' }] = provider.requests('token')
    expect(new URLSearchParams(body).get('code_verifier')).toMatch(/^[\w-]{43}$/)
    expect(vestibule.isAlive()).toBe(true)
  })

  test('the process has survived all of it', () => {
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
