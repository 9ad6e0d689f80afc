import { beforeAll, describe, expect, test } from 'vitest'
import { createLocalExplain } from '../../../../src/commands/explain/local-explain.ts'
import type { Explain } from '../../../../src/core/access/explain/explain.ts'
import type { Explanation } from '../../../../src/core/access/explain/explanation.ts'
import type { Question } from '../../../../src/core/access/explain/question.ts'
import { useFolder } from '../../../support/configuration.ts'

const RULES = `
policies:
  staff: { groups: [staff, admins] }
  office: { networks: [192.0.2.0/24] }
rules:
  - { name: assets, paths: [/assets/**], access: public }
  - { name: pilot, report: true, paths: [/admin/**], access: signed-in, allow: { claims: { dept: [it, 7] } } }
  - { name: admins only, paths: [/admin/**], access: signed-in, groups: [admins], emails: [boss@example.com] }
  - { name: office, paths: [/office/**], access: signed-in, policy: office, allow: { none: [ { claims: { dept: [hr] } } ] } }
  - { name: guests, paths: [/guests/**], access: optional }
  - { name: closing, report: true, paths: [/nobody/**], access: deny }
  - { name: nobody, paths: [/nobody/**], access: deny }
  - { name: API, paths: [/api/**], access: signed-in, preflight: pass, bearer: { issuers: [https://id.example.com], audiences: [api] } }
  - { name: robots, paths: [/robots/**], access: signed-in, oneTime: true, bearer: { issuers: [https://id.example.com], audiences: [api] } }
  - { paths: [/app/**], methods: [GET, POST], access: signed-in }
  - { name: one, paths: [/one/*], access: signed-in, groups: [admins] }
  - { name: ours, paths: [/ours/**], access: signed-in, allow: { claims: { iss: [https://id.example.com] } } }
  - { name: undefined, paths: [/CASE/], access: signed-in }
`
const { write } = useFolder()
let explain: Explain
let withOtherClaims: Explain
beforeAll(async () => {
  const environment = {
    VESTIBULE_CONFIG: await write(RULES),
    PROTECTED_HOSTS: 'app.example.com,http://app.localhost:8080',
    OIDC_ISSUER_URL: 'https://id.example.com',
  }
  explain = createLocalExplain(environment)
  withOtherClaims = createLocalExplain({
    ...environment,
    OIDC_GROUPS_CLAIM: 'realm_access.roles',
    OIDC_GROUPS_SEPARATOR: ',',
    OIDC_EMAIL_CLAIM: 'upn',
    OIDC_TRUST_EMAIL: 'true',
  })
})

/** Asks about a path of the protected host, or about a whole address. */
function ask(url: string, question: Omit<Question, 'url'> = {}, by = explain): Explanation {
  return by({ url: url.startsWith('/') ? `https://app.example.com${url}` : url, ...question })
}

const ada = { user: 'ada' }
const admin = { ...ada, groups: ['admins'] }

type Row = readonly [string, Omit<Question, 'url'>, page: number, script: number, why: RegExp]
test.for<Row>([
  ['/assets/a.css', {}, 200, 200, /^everybody may enter$/],
  ['/assets/a.css', ada, 200, 200, /^everybody may enter$/],
  ['/assets%2fa.css', {}, 403, 403, /^rule|no rule matches/],
  ['/guests/', {}, 200, 200, /^everybody may enter, and the app is told/],
  ['/nobody/', {}, 403, 403, /^rule nobody: the rule has access: deny$/],
  ['/nobody/', admin, 403, 403, /^rule nobody: the rule has access: deny$/],
  ['/elsewhere', admin, 403, 403, /^no rule matches$/],
  ['/app/', {}, 302, 401, /^nobody is signed in$/],
  ['/one/a%2fb', {}, 403, 403, /^no rule matches$/],
  ['/one/a%2fb', ada, 403, 403, /^no rule matches$/],
  ['/app/', { method: 'HEAD' }, 302, 401, /^nobody is signed in$/],
  ['/app/', { method: 'POST' }, 303, 401, /^nobody is signed in$/],
  ['/app/', { ...ada, method: 'DELETE' }, 403, 403, /^no rule matches$/],
  ['/app/', ada, 200, 200, /^the rules permit this person$/],
  ['/admin/', { method: 'PUT' }, 401, 401, /^nobody is signed in$/],
  ['/admin/', ada, 403, 403, /^rule admins only: /],
  ['/admin/', admin, 200, 200, /^the rules permit this person$/],
  ['/admin/', { email: 'Boss@Example.com' }, 200, 200, /permit/],
  ['/admin/', { claims: { email: 'boss@example.com' } }, 403, 403, /no e-mail address/],
  ['/admin/', { claims: { email: 'boss@example.com', email_verified: true } }, 200, 200, /permit/],
  ['/admin/', { claims: { groups: 'admins' } }, 200, 200, /permit/],
  ['/office/', { ...ada, claims: { dept: 'it' }, ip: '192.0.2.7' }, 200, 200, /permit/],
  [
    '/office/',
    { ...ada, claims: { dept: 'it' }, ip: '192.0.3.7' },
    403,
    403,
    /^rule office: networks: the client's address is in none of them$/,
  ],
  ['/office/', { ...ada, claims: { dept: 'it' } }, 403, 403, /^rule office: .*network.*unknown/],
  ['/office/', { ...ada, claims: { dept: 'it' }, ip: '10.0.0.1' }, 403, 403, /network.*unknown/],
  ['/office/', { ...ada, ip: '192.0.2.7' }, 403, 403, /^rule office: .*dept: unknown/],
  ['/office/', { ...ada, claims: { dept: { a: 1 } }, ip: '192.0.2.7' }, 403, 403, /dept: unknown/],
  ['/office/', { ...ada, claims: { dept: ['hr'] }, ip: '192.0.2.7' }, 403, 403, /dept matched/],
  ['/ours/', ada, 200, 200, /permit/],
  ['/ours/', { claims: { iss: 'https://other.example' } }, 403, 403, /^rule ours: claim iss: none/],
  ['/api/', {}, 302, 401, /^nobody is signed in$/],
  ['/api/', ada, 200, 200, /permit/],
  ['/api/', { method: 'OPTIONS' }, 401, 200, /^nobody is signed in$/],
  ['/robots/', ada, 401, 401, /^a rule takes tokens only$/],
  ['/assets/', { policy: 'staff' }, 302, 401, /^nobody is signed in$/],
  ['/assets/', { policy: 'staff', ...admin }, 200, 200, /permit/],
  ['/assets/', { policy: 'staff', ...ada }, 403, 403, /middleware/],
  ['/nobody/', { policy: 'staff', ...admin }, 403, 403, /access: deny/],
  ['/assets/', { policy: 'stuff', ...admin }, 403, 403, /policy that does not exist/],
  ['/assets/', { policy: 'staff&groups=x', ...admin }, 403, 403, /policy that does not exist/],
  ['/assets/', { policy: '\ud800', ...admin }, 403, 403, /policy that does not exist/],
  ['/app/\ud800', ada, 200, 200, /permit/],
  ['/%2e%2e/admin/', admin, 400, 400, /hidden dot segment/],
  ['/a%zz%c3%28%2f/', admin, 400, 400, /too many ways/],
  ['/oauth2/login', admin, 403, 403, /BASE_PATH/],
  ['/%6fauth2', admin, 403, 403, /BASE_PATH/],
  ['/a b', admin, 400, 400, /not a path/],
  ['/app/', { ...ada, method: 'TRACE' }, 405, 405, /never allowed/],
  ['/app/', { ...ada, method: 'get' }, 400, 400, /not a method/],
  ['https://other.example.com/app/', ada, 400, 400, /not one of PROTECTED_HOSTS/],
  ['https://app.example.com:8443/app/', ada, 400, 400, /not one of PROTECTED_HOSTS/],
  ['http://app.example.com/app/', ada, 400, 400, /configured for https/],
  ['HTTPS://APP.example.com:443/app/?q=/nobody/#/nobody/', ada, 200, 200, /permit/],
  ['http://app.localhost:8080/app/', ada, 200, 200, /permit/],
  ['wss://app.example.com/app/', {}, 401, 401, /^nobody is signed in$/],
  ['wss://app.example.com/app/', ada, 200, 200, /permit/],
])('%s for %o is %i and %i', ([url, question, page, script, why]) => {
  const explanation = ask(url, question)
  expect(explanation).toMatchObject({ page, script })
  expect(explanation.reasons.page).toMatch(why)
})

test('a preflight has its own reason', () => {
  const { reasons, rules } = ask('/api/', { method: 'OPTIONS' })
  expect(rules[0]).not.toHaveProperty('permits')
  expect(reasons).toEqual({ page: 'nobody is signed in', script: 'a preflight may pass' })
})

describe('the explanation', () => {
  test('has the rules that decide, with each condition and the value that decided', () => {
    const question = { ...ada, claims: { dept: 'it' }, ip: '192.0.2.7' }
    expect(ask('/office/x', question).rules).toEqual([
      {
        name: 'office',
        access: 'signed-in',
        permits: true,
        conditions: [
          {
            text: 'none',
            truth: true,
            of: [{ text: 'claim dept: hr', truth: false, saw: 'it' }],
          },
          { policy: 'office', text: 'networks: 192.0.2.0/24', truth: true, saw: '192.0.2.7' },
        ],
      },
    ])
  })

  test('has the lists of a rule as alternatives', () => {
    const [rule] = ask('/admin/', { email: 'ada@example.com', groups: [] }).rules
    expect(rule).toMatchObject({ name: 'admins only', permits: false, conditions: [] })
    const lists = [
      { text: 'groups: admins', truth: false },
      { text: 'emails: boss@example.com', truth: false, saw: 'ada@example.com' },
    ]
    expect(rule?.lists).toMatchObject({ text: 'any', truth: false, of: lists })
  })

  test.for([
    ['/api/', 'accepted', true],
    ['/robots/', 'only', false],
    ['/app/', undefined, true],
  ] as const)('says that tokens at %s are %s', ([path, tokens, permits]) => {
    const [rule] = ask(path, ada).rules
    expect([rule?.tokens, rule?.permits]).toEqual([tokens, permits])
  })

  test('tells no groups from unknown ones', () => {
    const truthOf = (groups?: readonly string[]) =>
      ask('/admin/', { ...ada, ...(groups && { groups }) }).rules[0]?.lists?.of?.[0]?.truth
    expect([truthOf(), truthOf([]), truthOf(['admins'])]).toEqual(['unknown', false, true])
    expect(ask('/admin/', ada).person).not.toHaveProperty('groups')
    expect(ask('/admin/', { ...ada, groups: [] }).person).toHaveProperty('groups', [])
  })

  test('has report rules, which say whom they would deny and count no stranger', () => {
    const reported = (question: Omit<Question, 'url'>, url = '/admin/') =>
      ask(url, question).reports.map(({ name, permits }) => [name, permits])
    expect(reported({ ...admin, claims: { dept: 7 } })).toEqual([['pilot', true]])
    expect(reported(admin)).toEqual([['pilot', false]])
    expect(reported({})).toEqual([['pilot', undefined]])
    expect(reported(admin, '/nobody/')).toEqual([['closing', false]])
    expect(reported({}, '/nobody/')).toEqual([['closing', undefined]])
    expect(reported(admin, '/nobody%2fx')).toEqual([['closing', false]])
    expect(ask('/app/', admin).reports).toEqual([])
  })

  test('has the readings of a path, each with its rule, all of which are needed', () => {
    const { readings, ambiguous, rules, page } = ask('/app/;x/..x/%2fadmin/', admin)
    expect(ambiguous).toBe(true)
    expect(readings).toContainEqual({ path: '/app/;x/..x//admin/', rule: '10' })
    expect(rules.map(({ name }) => name)).toEqual(['10'])
    expect(page).toBe(200)
    const several = ask('/admin%2f..x', admin)
    expect(several.readings).toContainEqual({ path: '/admin/..x', rule: 'admins only' })
    expect(several.readings).toContainEqual({ path: '/admin%2f..x' })
    expect(several.page).toBe(403)
    expect(ask('/', admin).readings).toEqual([{ path: '/' }])
  })

  test('tells a path without a rule from one whose rule is called undefined', () => {
    const { readings } = ask('/case', admin)
    expect(readings.filter(({ path }) => path === '/case').map(({ rule }) => rule)).toEqual(
      expect.arrayContaining([undefined, 'undefined']),
    )
  })

  test('has the readings also where no rule is consulted, and the code of the fault', () => {
    const { fault, readings, rules } = ask('/app/%2e%2e/admin?x', admin)
    expect([fault, rules]).toEqual(['hidden_dots', []])
    expect(readings).toContainEqual({ path: '/app/../admin' })
    expect(ask('https://other.example.com/x?y').readings).toEqual([{ path: '/x' }])
  })

  test('says what the middleware demands', () => {
    const demanded = { policy: 'staff', text: 'groups: staff, admins', truth: true, saw: 'admins' }
    expect(ask('/assets/', { ...admin, policy: 'staff' }).demand).toEqual([demanded])
    expect(ask('/assets/', admin).demand).toEqual([])
  })

  test('reads the person as a sign-in does', () => {
    const person = (question: Omit<Question, 'url'>, by?: Explain) =>
      ask('/app/', question, by).person
    expect(person({})).toBeUndefined()
    expect(person({ claims: {} })).toBeDefined()
    const claims = { sub: 'bob', email: 'bob@example.com', groups: ['a,b', 7] }
    expect(person({ claims })).toEqual({
      user: 'bob',
      groups: ['a,b', '7'],
      ignored: ['email: not verified', 'dept: no such claim'],
    })
    const elsewhere = { upn: 'bob@example.com', realm_access: { roles: 'a, b' } }
    const read = { email: 'bob@example.com', groups: ['a', 'b'] }
    expect(person({ claims: elsewhere }, withOtherClaims)).toMatchObject(read)
    const given = { email: 'bob@example.com', groups: ['a', 'b'] }
    expect(person(given, withOtherClaims)).toMatchObject(read)
    expect(person({ claims: { 'realm_access.roles': 'a,b' } }, withOtherClaims)).toMatchObject({
      groups: ['a', 'b'],
    })
  })

  test.for<readonly [string, string | undefined]>([
    ['/app/?a=/../b', undefined],
    ['/caf\u00e9?\u20ac', undefined],
    ['/app/%2e%2E/x', '/x'],
    ['/app/./x?y', '/app/x?y'],
    ['/a b', '/a%20b'],
    ['?x', undefined],
    ['', undefined],
  ])('%s is what a browser sends, else %s', ([target, browser]) => {
    const explanation = ask(`https://app.example.com${target}`)
    expect([explanation.url, explanation.browser]).toEqual([
      `https://app.example.com${target}`,
      browser,
    ])
  })

  test.for([
    'app.example.com/x',
    '/x',
    'ftp://app.example.com/',
    'https:///x',
    'https://ada:pass@app.example.com/',
    '',
  ])('%s is no address', (url) => {
    expect(() => explain({ url })).toThrow(/whole address such as https:/)
  })
})
