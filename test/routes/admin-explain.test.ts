import { expect, test } from 'vitest'
import { type AccessRule } from '../../src/core/access/access-rule.ts'
import { createExplain } from '../../src/core/access/explain/explain.ts'
import { createRules, type Rules } from '../../src/core/access/rule-set.ts'
import { userDigest } from '../../src/telemetry/log.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { BROADCAST_TOKEN, ISSUER, OPERATOR, signed, startAdmin } from '../support/started-admin.ts'

const PATH = '/admin/explain'
const URL = 'https://app.example.com/a'

function rulesWith(rule: AccessRule): Rules {
  const rest = { policies: new Map(), claims: [], issuers: new Set<string>(), fingerprint: '' }
  return createRules({ rules: [rule], ...rest })
}

function start() {
  const rules = { current: rulesWith({ name: '1', access: 'signed-in', passesPreflight: false }) }
  const explain = createExplain({
    rules,
    protectedSites: sitesOf('app.example.com'),
    basePath: '/oauth2',
    identity: { groupsClaim: 'groups', emailClaim: 'email', trustEmail: false, claims: [] },
    issuer: ISSUER,
    clientAddress: (forwardedFor) => forwardedFor,
  })
  return { rules, ...startAdmin({ explain, broadcastToken: BROADCAST_TOKEN }) }
}

type Started = ReturnType<typeof start>
const JSON_TYPE = 'application/json'

function ask({ ask: send }: Started, body: unknown, type = JSON_TYPE): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return send('POST', PATH, { headers: { ...signed, 'Content-Type': type }, body: text })
}

test('a question is answered', async () => {
  const started = start()
  const response = await ask(started, {
    url: URL,
    user: 'lovelace',
    email: 'lovelace@example.com',
    groups: [],
  })
  expect([response.status, await response.json()]).toEqual([
    200,
    {
      url: URL,
      method: 'GET',
      person: { user: 'lovelace', email: 'lovelace@example.com', groups: [], ignored: [] },
      readings: [{ path: '/a', rule: '1' }],
      ambiguous: false,
      rules: [{ name: '1', access: 'signed-in', permits: true, conditions: [] }],
      demand: [],
      reports: [],
      page: 200,
      script: 200,
      reasons: { page: 'the rules permit this person', script: 'the rules permit this person' },
    },
  ])
  expect(response.headers.get('cache-control')).toBe('no-store')
})

test('a fault of the request in question is an answer, not an error', async () => {
  const response = await ask(start(), { url: 'https://elsewhere.example/' })
  expect([response.status, await response.json()]).toMatchObject([
    200,
    { fault: 'foreign_host', page: 400, script: 400 },
  ])
})

test('the rules in force answer, also those that came later', async () => {
  const started = start()
  const pageOf = async () =>
    ((await (await ask(started, { url: URL })).json()) as { page: number }).page
  expect(await pageOf()).toBe(302)
  started.rules.current = rulesWith({ name: '1', access: 'public', passesPreflight: false })
  expect(await pageOf()).toBe(200)
})

test.for<readonly [object]>([
  [{ user: 'lovelace' }],
  [{ claims: { sub: 'lovelace', dept: 'secret' } }],
])(
  'one line tells that an operator asked, and of the person in %j no more than a digest',
  async ([person]) => {
    const started = start()
    const question = { url: `${URL}?code=secret`, email: 'lovelace@example.com', ...person }
    const request_id = (await ask(started, question)).headers.get('x-request-id')
    const user = userDigest(ISSUER, 'lovelace')
    expect(started.lines).toMatchObject([
      { event: 'explained', user, client: OPERATOR, request_id },
    ])
    expect(JSON.stringify(started.lines)).not.toMatch(/lovelace|example\.com|secret/)
  },
)

test.for<readonly [body: unknown, message: RegExp]>([
  ['', /^The body is no question: /],
  ['{', /^The body is no question: /],
  [[], /^The body is no question: /],
  [{}, /url: /],
  [{ url: 'app.example.com' }, /url: must be a whole address such as https:/],
  [{ url: URL, method: '' }, /method: /],
  [{ url: URL, user: 7 }, /user: /],
  [{ url: URL, email: null }, /email: /],
  [{ url: URL, groups: 'admins' }, /groups: /],
  [{ url: URL, groups: [''] }, /groups\.0: /],
  [{ url: URL, claims: ['dept'] }, /claims: /],
  [{ url: URL, ip: 'office' }, /ip: is no IP address/],
  [{ url: URL, policy: '' }, /policy: /],
  [{ url: URL, usr: 'lovelace', token: 'secret' }, /Unrecognized keys?: "usr"/],
])('%j is no question', async ([body, message]) => {
  const started = start()
  const response = await ask(started, body)
  const answer = (await response.json()) as { error: string; message: string }
  expect([response.status, answer.error]).toEqual([400, 'invalid_request'])
  expect(answer.message).toMatch(message)
  expect(answer.message).not.toMatch(/secret|admins|office/)
})

test('another type, a parameter and a body that is too large are refused', async () => {
  const started = start()
  const body = JSON.stringify({ url: URL })
  expect((await ask(started, body, 'text/plain')).status).toBe(415)
  const long = { url: URL, groups: ['a'.repeat(16 * 1024)] }
  expect((await ask(started, long)).status).toBe(413)
  const headers = { ...signed, 'Content-Type': JSON_TYPE }
  expect((await started.ask('POST', `${PATH}?url=x`, { headers, body })).status).toBe(400)
  expect((await started.ask('GET', PATH)).status).toBe(404)
})

test('BROADCAST_TOKEN does not open it', async () => {
  const headers = { Authorization: `Bearer ${BROADCAST_TOKEN}`, 'Content-Type': JSON_TYPE }
  const response = await start().ask('POST', PATH, { headers, body: JSON.stringify({ url: URL }) })
  expect(response.status).toBe(403)
})
