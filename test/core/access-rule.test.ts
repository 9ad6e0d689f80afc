import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AccessRule,
  type AllowedUsers,
  createAccessFinder,
  parseEmail,
} from '../../src/core/access-rule.ts'
import type { BearerRequirement } from '../../src/core/bearer.ts'
import { type ForwardedRequest, parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import type { Identity } from '../../src/core/identity.ts'
import { compilePathPattern } from '../../src/core/path-pattern.ts'
import { anyText } from '../support/any-text.ts'
import { hostPatterns, sitesOf } from '../support/protected-sites.ts'
import { forwarded, rawRequest } from '../support/raw-request.ts'
import { rows, words } from '../support/words.ts'

const sites = sitesOf('app.example.com', 'wiki.example.com', '*.apps.example.com')

interface RuleSource extends Partial<Omit<AccessRule, 'paths' | 'hosts' | 'methods' | 'allowed'>> {
  readonly access: AccessRule['access']
  readonly paths?: readonly string[]
  readonly hosts?: readonly string[]
  readonly methods?: readonly string[]
  readonly allowed?: Partial<AllowedUsers>
}

function rule({ access, paths, methods, allowed, hosts: names, ...rest }: RuleSource) {
  return {
    access,
    passesPreflight: false,
    ...rest,
    ...(paths && { paths: paths.map(compilePathPattern) }),
    ...(names && { hosts: hostPatterns(...names) }),
    ...(methods && { methods: new Set(methods) }),
    ...(allowed && {
      allowed: { emails: new Set(), emailDomains: new Set(), groups: new Set(), ...allowed },
    }),
  } satisfies AccessRule as AccessRule
}

function request(path: string, method = 'GET', host = 'app.example.com'): ForwardedRequest {
  const headers = {
    'X-Forwarded-Uri': path,
    'X-Forwarded-Method': method,
    'X-Forwarded-Host': host,
  }
  return parseForwardedRequest(rawRequest(forwarded(headers)), sites)
}

function accessTo(rules: readonly RuleSource[], ...asked: Parameters<typeof request>) {
  return createAccessFinder(rules.map(rule))(request(...asked))
}

function person(changes: Partial<Identity> = {}): Identity {
  return { issuer: 'https://id.example.com', subject: 'u1', groups: [], claims: {}, ...changes }
}

const ADMINS = { groups: new Set(['admins']) }
const admin = person({ groups: ['admins'] })

describe('finding the rule', () => {
  test('no rule at all denies', () => {
    const access = accessTo([], '/')
    expect(access).toMatchObject({ kind: 'deny', passesPreflight: false })
    expect(access.permits(admin)).toBe(false)
  })

  test('no rule that matches denies', () => {
    expect(accessTo([{ access: 'public', paths: ['/public/**'] }], '/private').kind).toBe('deny')
  })

  const rules: RuleSource[] = [
    { access: 'deny', paths: ['/public/secret/**'] },
    { access: 'public', paths: ['/public/**', '/robots.txt'] },
    { access: 'public', paths: ['/status'], methods: ['GET'] },
    { access: 'public', hosts: ['wiki.example.com', '*.apps.example.com'], paths: ['/open'] },
    { access: 'signed-in', paths: ['/admin/**'], allowed: ADMINS },
    { access: 'signed-in' },
  ]

  const APP = 'app.example.com'
  test.for([
    ...rows`/public/a /robots.txt /status /status?x=1`('GET', APP, 'public'),
    ['/public', 'POST', APP, 'public'],
    ['/public/secret/a', 'GET', APP, 'deny'],
    ['/status', 'HEAD', APP, 'public'],
    ['/status', 'POST', APP, 'signed-in'],
    ...rows`/open /admin/a /`('GET', APP, 'signed-in'),
    ['/open', 'GET', 'wiki.example.com', 'public'],
    ['/open', 'GET', 'x.apps.example.com', 'public'],
  ] as const)('%s %s of %s is %s', ([path, method, host, kind], { expect }) => {
    expect(accessTo(rules, path, method, host).kind).toBe(kind)
  })

  test.for(words`
    /publicx /public-admin/a /Public/a /private?x=/public/a /status/ /public/... /public/a.
    /public/%41 /public/%80 /public/a%2fb /public/a;b /public//a /public%2fa /public/%00
    /public/a%23 /public/a%3fb /public/m%C2%B2
  `)('%s is not public (A15-A18)', (path, { expect }) => {
    expect(accessTo(rules, path).kind).not.toBe('public')
  })

  test.for(words`
    /ADMIN/a /Admin /admin/ /admin;x/a /admin%2fa /admin./a /admin%2fx%2fy /%2fx/admin/a /%61dmin/a
    /%2561dmin/a /admin%20/a /admin%00/a /%ef%bd%81dmin/a
  `)('%s needs what /admin/** needs (A19)', (path, { expect }) => {
    const access = accessTo(rules, path)
    expect(access.permits(person())).toBe(false)
    expect(access.permits(admin)).toBe(true)
  })

  test('all rules found for the readings of a path must be met together', () => {
    const both: RuleSource[] = [
      { access: 'signed-in', paths: ['/a/*'], allowed: { groups: new Set(['a']) } },
      { access: 'signed-in', paths: ['/a/*/*'], allowed: { groups: new Set(['b']) } },
    ]
    const permits = (...groups: string[]) => accessTo(both, '/a/x%2fy').permits(person({ groups }))
    expect([permits('a'), permits('b'), permits('a', 'b')]).toEqual([false, false, true])
  })

  test('a reading without a rule denies, whatever the other readings have', () => {
    expect(accessTo([{ access: 'signed-in', paths: ['/a/*'] }], '/a/x%2fy').kind).toBe('deny')
  })

  test('one rule of those found is enough to let nobody in during an outage', () => {
    const strict: RuleSource[] = [
      { access: 'signed-in', paths: ['/admin/**'], deniesDegraded: true },
      { access: 'public', paths: ['/public/**'] },
      { access: 'signed-in' },
    ]
    const denies = (path: string) => accessTo(strict, path).deniesDegraded
    expect(words`/admin/a /ADMIN/a /%61dmin/a`.map(denies)).toEqual([true, true, true])
    expect(words`/a /public/a`.map(denies)).toEqual([false, false])
    expect(accessTo([], '/a').deniesDegraded).toBe(true)
  })

  test('a preflight passes only where every rule found lets it', () => {
    const open = { access: 'signed-in', passesPreflight: true } as const
    expect(accessTo([open], '/api').passesPreflight).toBe(true)
    const rules: RuleSource[] = [{ access: 'signed-in', paths: ['/api/closed/**'] }, open]
    expect(accessTo(rules, '/api%2fclosed/a').passesPreflight).toBe(false)
    expect(accessTo([{ access: 'deny', passesPreflight: true }], '/').passesPreflight).toBe(false)
  })
})

describe('tokens', () => {
  const requirement = (audience: string): BearerRequirement => ({
    issuers: new Set(['https://id.example.com']),
    audiences: new Set([audience]),
    scopes: [],
    claims: new Map(),
    type: 'at+jwt',
  })
  const [a, b] = [requirement('a'), requirement('b')]
  const rules: RuleSource[] = [
    { access: 'signed-in', paths: ['/a/**'], bearer: a },
    { access: 'signed-in', paths: ['/b/*'], bearer: b, isOneTime: true },
    { access: 'signed-in', paths: ['/b/a/*'], bearer: a },
    { access: 'public', paths: ['/open'] },
    { access: 'signed-in', paths: ['/OPEN/**', '/API/**'], bearer: a },
    { access: 'signed-in' },
  ]

  test.for<[string, ReturnType<ReturnType<typeof createAccessFinder>>['bearer']]>([
    ['/a/x', { requirements: [a], isOneTime: false }],
    ['/b/x', { requirements: [b], isOneTime: true }],
    ['/c', undefined],
    ['/b/a%2fx', { requirements: [b, a], isOneTime: true }],
    ['/%61/x', undefined],
    ['/OPEN', undefined],
    ['/API/x', { requirements: [a], isOneTime: false }],
    ['/api/x', undefined],
  ])('%s accepts what every rule found accepts', ([path, bearer], { expect }) => {
    const access = accessTo(rules, path)
    expect(access.kind).toBe('signed-in')
    expect(access.bearer).toEqual(bearer)
  })

  test('a path for tokens of one use that may also be one for sessions is for nobody', () => {
    const access = accessTo(rules, '/b/x%2fy')
    expect(access).toMatchObject({ kind: 'deny', passesPreflight: false })
    expect(access.permits(admin)).toBe(false)
  })
})

describe('ambiguity may only remove a bypass', () => {
  test('a restrictive rule in capitals holds for the path in small letters', () => {
    const rules: RuleSource[] = [{ access: 'deny', paths: ['/Admin/**'] }, { access: 'public' }]
    const kinds = words`/ADMIN/a /Admin/a /admin/a`.map((path) => accessTo(rules, path).kind)
    expect(kinds).toEqual(['deny', 'deny', 'deny'])
  })

  test('a restrictive rule holds with a final slash and without (A19)', () => {
    const rules: RuleSource[] = [
      { access: 'deny', paths: ['/admin', '/users/'] },
      { access: 'public' },
    ]
    const kinds = words`/admin /ADMIN/ /admin/ /users`.map((path) => accessTo(rules, path).kind)
    expect(kinds).toEqual(['deny', 'deny', 'deny', 'deny'])
  })

  // Two rules may differ in case, compatibility form or a final slash alone, and each server takes one of them.
  test.for([
    [['/docs/**', '/Docs/**'], '/Docs;v/a'],
    [['/m2/**', '/m\u00b2/**'], '/M%C2%B2/a'],
    [['/m\u00b2/**', '/m2/**'], '/M2/a'],
    [['/docs', '/Docs'], '/Docs/'],
  ] as const)('the later of the rules %j holds as well for %s', ([[open, closed], path]) => {
    const rules: RuleSource[] = [
      { access: 'signed-in', paths: [open] },
      { access: 'deny', paths: [closed] },
      { access: 'signed-in' },
    ]
    expect(accessTo(rules, path).kind).toBe('deny')
  })
})

describe('who may enter', () => {
  const allowed = {
    emails: new Set(['alice@example.com']),
    emailDomains: new Set(['corp.example']),
    groups: new Set(['admins', 'ops']),
  }
  const permits = (identity: Partial<Identity>) =>
    accessTo([{ access: 'signed-in', allowed }], '/').permits(person(identity))

  test.for<readonly [string, Partial<Identity>, boolean]>([
    ['an address on the list', { email: 'alice@example.com' }, true],
    ['the same in capitals', { email: 'ALICE@Example.COM' }, true],
    ['an address of a domain', { email: 'bob@corp.example' }, true],
    ['a group', { groups: ['users', 'ops'] }, true],
    ['a group beside a foreign address', { email: 'x@evil.test', groups: ['ops'] }, true],
    ['nothing', {}, false],
    ['another address of the same domain', { email: 'mallory@example.com' }, false],
    ...rows`
      bob@sub.corp.example bob@evilcorp.example bob@corp.example.evil.test
      bob@evil.test@corp.example "a@corp.example"@evil.test Bob\x20<bob@corp.example>
      bob@corp.example\x20 bob@corp.example\n bob@ｃorp.example
    `(false).map(([email, no]) => [`${JSON.stringify(email)} (A36)`, { email }, no] as const),
    ['a group in another case', { groups: ['Admins'] }, false],
    ['a part of a group', { groups: ['admin', 'admins-readonly'] }, false],
    ['a group list as one text (A33)', { groups: ['admins,ops'] }, false],
  ])('%s: %s', ([, identity, expected], { expect }) => {
    expect(permits(identity)).toBe(expected)
  })

  test('a letter that lower-cases to ASCII does not make somebody else of it', () => {
    const rules: RuleSource[] = [
      { access: 'signed-in', allowed: { emails: new Set(['mark@example.com']) } },
    ]
    const access = accessTo(rules, '/')
    expect(access.permits(person({ email: 'mark@example.com' }))).toBe(true)
    expect(access.permits(person({ email: 'mar\u212a@example.com' }))).toBe(false)
  })

  test('a rule that names nobody lets in everybody who is signed in', () => {
    expect(accessTo([{ access: 'signed-in' }], '/').permits(person())).toBe(true)
  })

  test('a rule with empty lists lets in nobody', () => {
    const access = accessTo([{ access: 'signed-in', allowed: {} }], '/')
    expect(access.permits(person({ email: 'alice@example.com', groups: ['admins'] }))).toBe(false)
  })
})

describe('an e-mail address', () => {
  test.for<[string, string | undefined, string | undefined]>([
    ['alice@example.com', 'alice@example.com', 'example.com'],
    ['Alice.B+tag@Example.COM', 'alice.b+tag@example.com', 'example.com'],
    ["o'brien@example.com", "o'brien@example.com", 'example.com'],
    ['root@localhost', 'root@localhost', 'localhost'],
    ['', undefined, undefined],
    ...rows`
      @ alice alice@ @example.com alice@example..com alice@.example.com alice@example.com.
      alice@[127.0.0.1] alice@exam_ple.com alice@bücher.example älice@example.com
      ${'a'.repeat(65)}@example.com a@${'b'.repeat(64)}.com a,b@example.com a\x20b@example.com
    `(undefined, undefined),
  ])('%j', ([value, email, domain], { expect }) => {
    expect(parseEmail(value)).toEqual(email === undefined ? undefined : { email, domain })
  })

  test('any text is plain lower-case ASCII with one at sign, or nothing', () => {
    const near = fc
      .array(fc.constantFrom('a', 'B', '@', '@', '.', '-', '"', ' ', '\u212a', '\u0130', 'x.com'))
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.oneof(near, anyText, fc.emailAddress()), (value) => {
        const parsed = parseEmail(value)
        if (!parsed) return
        expect(parsed.email).toMatch(/^[\x21-\x3f\x5b-\x7e]+@[a-z0-9.-]+$/)
        expect(parsed.email.endsWith(`@${parsed.domain}`)).toBe(true)
        expect(parseEmail(parsed.email)).toEqual(parsed)
        expect(value).toMatch(/^[\x21-\x7e]+$/)
      }),
      { numRuns: 1000 },
    )
  })
})
