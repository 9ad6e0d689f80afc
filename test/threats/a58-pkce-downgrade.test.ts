import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, sentAlong, startLogin, untilCallback } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ LOG_LEVEL: 'trace' })

function verifiersSent({ provider }: Pick<RelyingParty, 'provider'> = party): readonly string[] {
  const bodies = provider.requests('token').map(({ body }) => new URLSearchParams(body))
  return bodies.map((body) => body.get('code_verifier') ?? '')
}

test('every login has S256 and a challenge of its own', async () => {
  const browser = party.visitor()
  const challenges = new Set<string>()
  for (let login = 1; login <= 20; login += 1) {
    const started = await startLogin(browser)
    expect(sentAlong(started, 'code_challenge_method')).toBe('S256')
    challenges.add(sentAlong(started, 'code_challenge'))
  }
  expect(challenges.size).toBe(20)
  for (const challenge of challenges) expect(challenge).toMatch(/^[\w-]{43}$/)
})

test('the verifier reaches the token endpoint and nothing else', async () => {
  const browser = party.visitor()
  const started = await startLogin(browser)
  const challenge = sentAlong(started, 'code_challenge')
  const cookiesBefore = cookieHeader(browser)
  await browser.follow(started)
  await browser.submit(browser.trail.at(-1) ?? started, { login: 'alice' })
  const [verifier = '', ...more] = verifiersSent()
  expect(more).toEqual([])
  expect(verifier).toMatch(/^[\w.~-]{43,128}$/)
  expect(createHash('sha256').update(verifier).digest('base64url')).toBe(challenge)
  const seen = browser.trail.flatMap(({ url, body, rawHeaders }) => [url, body, ...rawHeaders])
  expect([...seen, cookiesBefore, party.vestibule.output()].join('\n')).not.toContain(verifier)
  expect(await party.userOf(browser)).toBe('alice')
})

test.for<[string, unknown]>([
  ['only plain', ['plain']],
  ['nothing', undefined],
  ['an empty list', []],
  ['plain before S256', ['plain', 'S256']],
])('a provider that announces %s still gets S256', async ([, methods]) => {
  await using other = await startRelyingParty({}, {}, ({ set }) =>
    set('discovery', {
      rewrite: (metadata) => ({ ...metadata, code_challenge_methods_supported: methods }),
    }),
  )
  const browser = other.vestibule.visitor()
  expect(sentAlong(await startLogin(browser), 'code_challenge_method')).toBe('S256')
  expect((await browser.get(await untilCallback(browser))).status).toBe(302)
  expect(verifiersSent(other)).toEqual([expect.stringMatching(/^[\w-]{43}$/)])
})
