import { describe, expect, test } from 'vitest'
import { bearerRule } from '../support/bearers.ts'
import { prepared } from '../support/prepared.ts'
import { asScript, useBearerParty, useParty } from '../support/used-party.ts'
import type { Forwarded } from '../support/vestibule.ts'

const party = useBearerParty(
  [
    { paths: ['/admin/**'], access: 'signed-in', groups: ['admins'] },
    { paths: ['/team/**'], access: 'signed-in', groups: ['team'], emails: ['eve@example.com'] },
    { paths: ['/closed/**'], access: 'deny' },
    { paths: ['/open/**'], access: 'public' },
    { paths: ['/any/**'], access: 'signed-in' },
    { paths: ['/mail/**'], access: 'signed-in', emailDomains: ['corp.example'] },
    bearerRule('/scope/**', { scopes: ['read', 'write'] }),
    bearerRule('/tenant/**', { claims: { tenant: ['a'] } }),
    bearerRule('/robots/**', {}, { groups: ['robots'] }),
  ],
  { ALLOW_ANY_USER: '' },
)
const bob = prepared(() => party.vestibule.signIn('bob'))

/** The lines of one refusal, which may come behind the answer. */
function linesOf(id: unknown) {
  return party.vestibule.log().filter(({ request_id }) => request_id === id)
}

async function refusalOf(forwarded: Forwarded, headers: Readonly<Record<string, string>> = {}) {
  const visit = await party.check(forwarded, { Cookie: bob(), ...headers })
  expect(visit.status).toBe(403)
  const id = visit.headers['x-request-id']
  await expect.poll(() => linesOf(id)).not.toEqual([])
  expect(linesOf(id)).toHaveLength(1)
  return { visit, id, line: linesOf(id)[0] }
}

const NO_GROUPS = "the groups of the session hold none of the rule's"
const NO_EMAIL = 'the e-mail address of the session is not on the lists of the rule'

describe('C53: the 403 of a signed-in person', () => {
  test.for([
    ['/admin/a', { code: 'not_listed', rule: 1, asks: ['groups'], reason: NO_GROUPS }],
    [
      '/team/a',
      {
        code: 'not_listed',
        rule: 2,
        asks: ['groups', 'emails'],
        reason: `${NO_GROUPS}; ${NO_EMAIL}`,
      },
    ],
    ['/mail/a', { code: 'not_listed', rule: 6, asks: ['emailDomains'], reason: NO_EMAIL }],
    ['/closed/a', { code: 'access_deny', rule: 3, reason: 'the rule has access: deny' }],
    ['/else', { code: 'no_rule', reason: 'no rule matches' }],
    ['/any%2fx', { code: 'no_rule', reason: 'no rule matches' }],
  ] as const)('has one info line with rule and reason: %s', async ([uri, why]) => {
    const { line } = await refusalOf({ uri: `${uri}?code=secret` })
    const known = { event: 'not_permitted', level: 'info', status: 403, host: 'app.example.com' }
    expect(line).toMatchObject({ ...known, ...why, path: uri })
    expect(line?.['user']).toMatch(/^[\w-]{16}$/)
    expect(JSON.stringify(line)).not.toMatch(/secret|bob|@|"admins/)
  })

  test('shows the number of that line, on the page and in the JSON answer', async () => {
    const page = await refusalOf({ uri: '/admin/a' })
    expect(page.visit.body).toContain(`Request ${String(page.id)}`)
    const script = await refusalOf({ uri: '/admin/a' }, asScript)
    const { body } = script.visit
    expect(JSON.parse(body)).toEqual({ error: 'forbidden', request_id: script.id })
  })

  test('names no address and no token of the path', async () => {
    const token = 'eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiJhIn0'
    const { line } = await refusalOf({
      uri: `/admin/eve%40corp.example/${token}/${'a'.repeat(500)}`,
    })
    expect(line?.['path']).toMatch(/^\/admin\/…@…\/…\/a{100,150}$/)
  })
})

describe('C53: the 403 of a valid token', () => {
  test.for([
    ['/scope/a', { code: 'insufficient_scope', rule: 7 }, 'one of the scopes read write'],
    ['/tenant/a', { code: 'token_claims', rule: 8 }, 'the rule asks for: tenant'],
    ['/robots/a', { code: 'not_listed', rule: 9, asks: ['groups'] }, 'the token has no groups'],
  ] as const)('has one info line with rule and reason: %s', async ([uri, why, reason]) => {
    const token = await party.mint({ tenant: 'b', scope: 'read' })
    const visit = await party.present(token, { uri })
    expect(visit.status).toBe(403)
    const lines = linesOf(visit.headers['x-request-id'])
    expect(lines).toMatchObject([{ event: 'not_permitted', level: 'info', path: uri, ...why }])
    expect(lines[0]?.['reason']).toContain(reason)
    expect(JSON.stringify(lines)).not.toContain(token)
  })

  test('is not that of a token which is not valid: no line', async () => {
    const token = await party.mint({ exp: 1 })
    const visit = await party.present(token, { uri: '/scope/a' })
    expect([visit.status, linesOf(visit.headers['x-request-id'])]).toEqual([401, []])
  })
})

test('C53: strangers get no line, whatever cookie they make up', async () => {
  const made = '__Host-vestibule=v1.' + 'a'.repeat(43) + '.' + 'b'.repeat(43)
  for (const Cookie of ['', made]) {
    for (const uri of ['/admin/a', '/closed/a', '/else']) {
      const id = crypto.randomUUID()
      await party.check({ uri }, { Cookie, 'X-Request-Id': id })
      // By the line of a later refusal, the work behind this answer is done.
      await refusalOf({ uri: '/closed/b' })
      expect(linesOf(id)).toEqual([])
    }
  }
})

describe('C53: a person whom the rules let pass', () => {
  const users = [{ sub: 'many', groups: Array.from({ length: 50 }, (_, n) => `group-${n}`) }]
  const strict = useParty({ IDENTITY_HEADERS_MAX_BYTES: '256' }, { users })

  test('has an info line too when the claims are too large for the app', async () => {
    const Cookie = await strict.vestibule.signIn('many')
    const { headers } = await strict.check({ uri: '/a' }, { Cookie })
    const lines = strict.vestibule
      .log()
      .filter((each) => each['request_id'] === headers['x-request-id'])
    const known = { status: 403, code: 'claims_too_large' }
    expect(lines).toMatchObject([
      { ...known, event: 'not_permitted', level: 'info', path: '/a' },
      { ...known, event: 'refused', level: 'warn' },
    ])
    expect(lines[0]?.['user']).toMatch(/^[\w-]{16}$/)
  })
})

test('C53: lines are at most ten a second, and those left out are counted', async () => {
  const before = party.vestibule.log().length
  const asked = Array.from({ length: 100 }, () =>
    party.check({ uri: '/admin/a' }, { Cookie: bob() }),
  )
  await Promise.all(asked)
  const said = (event: string) =>
    party.vestibule
      .log()
      .slice(before)
      .filter((line) => line['event'] === event)
  await expect.poll(() => said('log_lines_left_out')).not.toEqual([])
  expect(said('not_permitted').length).toBeLessThan(100)
})
