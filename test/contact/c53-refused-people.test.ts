import { describe, expect, test } from 'vitest'
import { bearerRule } from '../support/bearers.ts'
import { prepared } from '../support/prepared.ts'
import { asScript, useBearerParty, useParty } from '../support/used-party.ts'
import type { Forwarded } from '../support/vestibule.ts'
import type { Visit } from '../support/visitor.ts'

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

/** Asks until a refusal has its line, because more than ten lines a second are left out. */
async function refusalBy(ask: () => Promise<Visit>) {
  let visit = await ask()
  const lines = () => linesOf(visit.headers['x-request-id'])
  const askAgain = async () => {
    if (lines().length === 0) visit = await ask()
    return lines()
  }
  await expect.poll(askAgain, { interval: 200 }).not.toEqual([])
  expect(visit.status).toBe(403)
  expect(lines()).toHaveLength(1)
  return { visit, id: visit.headers['x-request-id'], line: lines()[0] }
}

function refusalOf(forwarded: Forwarded, headers: Readonly<Record<string, string>> = {}) {
  return refusalBy(() => party.check(forwarded, { Cookie: bob(), ...headers }))
}

const NO_GROUPS = "the groups of the session hold none of the rule's"
const NO_EMAIL = 'the e-mail address of the session is not on the lists of the rule'

describe('C53: the 403 of a signed-in person', () => {
  test.for([
    ['/admin/a', { code: 'not_listed', rule: '1', asks: ['groups'], reason: NO_GROUPS }],
    [
      '/team/a',
      {
        code: 'not_listed',
        rule: '2',
        asks: ['groups', 'emails'],
        reason: `${NO_GROUPS}; ${NO_EMAIL}`,
      },
    ],
    ['/mail/a', { code: 'not_listed', rule: '6', asks: ['emailDomains'], reason: NO_EMAIL }],
    ['/closed/a', { code: 'access_deny', rule: '3', reason: 'the rule has access: deny' }],
    ['/else', { code: 'no_rule', reason: 'no rule matches' }],
    ['/any%2fx', { code: 'no_rule', reason: 'no rule matches' }],
  ] as const)('has one info line with rule and reason: %s', async ([uri, why]) => {
    const { line } = await refusalOf({ uri: `${uri}?code=secret` })
    const known = { event: 'not_permitted', level: 'info', status: 403, host: 'app.example.com' }
    expect(line).toMatchObject({ ...known, ...why, path: uri })
    expect(line?.['user']).toMatch(/^[\w-]{16}$/)
    expect(JSON.stringify(line)).not.toMatch(/secret|\bbob\b|@|"admins/)
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
    for (const at of ['@', '%2540', '%EF%BC%A0', '%25ef%25bc%25a0']) {
      const known = await refusalOf({ uri: `/admin/eve${at}corp.example` })
      expect(known.line?.['path']).toBe('/admin/…@…')
    }
  })
})

describe('C53: the 403 of a valid token', () => {
  test.for([
    ['/scope/a', { code: 'insufficient_scope', rule: '7' }, 'one of the scopes read write'],
    ['/tenant/a', { code: 'token_claims', rule: '8' }, 'the rule asks for: tenant'],
    [
      '/robots/a',
      { code: 'not_listed', rule: '9', asks: ['groups'] },
      'the groups of the token are not known',
    ],
  ] as const)('has one info line with rule and reason: %s', async ([uri, why, reason]) => {
    const token = await party.mint({ tenant: 'b', scope: 'read' })
    const { line } = await refusalBy(() => party.present(token, { uri }))
    expect(line).toMatchObject({ event: 'not_permitted', level: 'info', path: uri, ...why })
    expect(line?.['reason']).toContain(reason)
    expect(JSON.stringify(line)).not.toContain(token)
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

test('C53: the number on the page about two session cookies leads to a line with the setting', async () => {
  const Cookie = `${bob()}; __Host-vestibule=v1.a.b`
  const page = await party.check({ uri: '/any/a' }, { Cookie })
  const { status, headers, body } = page
  const id = headers['x-request-id']
  expect([status, body]).toEqual([400, expect.stringContaining(`Request ${String(id)}`)])
  const named = { cookie_name: '__Host-vestibule', setting: 'COOKIE_NAME' }
  expect(linesOf(id)).toMatchObject([{ event: 'duplicate_cookies', level: 'info', ...named }])
  expect(JSON.stringify(linesOf(id))).not.toContain('v1.')
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
    const setting = 'IDENTITY_HEADERS_MAX_BYTES'
    const known = { status: 403, code: 'claims_too_large', claim: 'groups', setting }
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
