import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Behaviour, Endpoint } from '../support/provider.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ OIDC_USERINFO: 'always', PASS_ACCESS_TOKEN: 'true' })

const RUNS = 40
const LARGE = `"${'x'.repeat(1024 * 1024 + 1)}"`
const TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/jwt',
  'application/octet-stream',
  'text/html',
  'text/plain',
  '',
]
const NAMES = [
  'error',
  'error_description',
  'access_token',
  'token_type',
  'id_token',
  'expires_in',
  'refresh_token',
  'sub',
  'keys',
  '__proto__',
]
const members = fc.dictionary(fc.constantFrom(...NAMES), fc.jsonValue({ maxDepth: 1 }))
const bodies = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  members.map((value) => JSON.stringify(value)),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '{', '<h1>no</h1>', '\u0000', '\ufeff{}', LARGE, '{"error":"invalid_grant"}'),
)
const answers: fc.Arbitrary<Behaviour> = fc.record({
  status: fc.oneof(
    fc.constantFrom(200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 503),
    fc.integer({ min: 200, max: 599 }),
  ),
  headers: fc.record(
    {
      'Content-Type': fc.constantFrom(...TYPES),
      'WWW-Authenticate': fc.constantFrom('Bearer error="x"', 'Basic realm="a', ',,', 'x'),
      'Retry-After': fc.constantFrom('0', '-1', 'soon', '99999999999'),
      Location: fc.constantFrom('/', 'http://127.0.0.1:9/', '::'),
    },
    { requiredKeys: ['Content-Type'] },
  ),
  body: bodies,
})

const refusedLines = () =>
  party.vestibule.log().filter(({ event }) => event === 'refused' || event === 'log_lines_left_out')

describe('C53: an answer of any kind', () => {
  test.for<Endpoint>(['token', 'userinfo'])(
    'of the %s endpoint signs in or ends in a page with a line that names the endpoint',
    async (endpoint) =>
      fc.assert(
        fc.asyncProperty(answers, async (behaviour) => {
          party.provider.reset()
          const { browser, callbackUrl } = await party.untilCallback()
          const before = refusedLines().length
          party.provider.set(endpoint, behaviour)
          const page = await browser.get(callbackUrl)
          expect([302, 400, 502, 503]).toContain(page.status)
          if (page.status === 302) return
          expect(page.body).toContain(`Request ${String(page.headers['x-request-id'])}`)
          expect([page.setCookies, page.location]).toEqual([[], undefined])
          const [line] = refusedLines().slice(before)
          if (line?.['event'] !== 'refused') return
          expect(line).toMatchObject({ status: page.status, endpoint: `${endpoint}_endpoint` })
          expect(JSON.stringify(line).length).toBeLessThan(2000)
        }),
        { numRuns: RUNS },
      ),
  )

  test('to a refresh is 200, a new sign-in or 503, and nothing else', async () =>
    fc.assert(
      fc.asyncProperty(answers, async (behaviour) => {
        party.provider.reset()
        party.provider.set('token', { rewrite: (body) => ({ ...body, expires_in: 0 }), times: 1 })
        const { browser, callbackUrl } = await party.untilCallback()
        await browser.get(callbackUrl)
        party.provider.set('token', behaviour)
        const { status, setCookies } = await party.checkWith(steps.cookieHeader(browser))
        expect([200, 302, 503]).toContain(status)
        expect(setCookies).toEqual([])
      }),
      { numRuns: RUNS },
    ))

  test('leaves the service at work, without an error of its own', async () => {
    party.provider.reset()
    expect((await party.attempt()).isSignedIn).toBe(true)
    const levels = party.vestibule.log().map(({ level }) => level)
    expect(levels).not.toContain('error')
    expect(levels).not.toContain('fatal')
  })
})
