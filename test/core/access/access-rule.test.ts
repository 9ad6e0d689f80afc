import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAccessFinder } from '../../../src/core/access/access-finder.ts'
import {
  type AccessRule,
  allowsDegraded,
  takesTokens,
  takesTokensOnly,
} from '../../../src/core/access/access-rule.ts'
import { type AllowedUsers, parseEmail } from '../../../src/core/access/allowed-users.ts'
import type { BearerAccess, BearerRequirement } from '../../../src/core/bearer.ts'
import {
  type ForwardedRequest,
  parseForwardedRequest,
} from '../../../src/core/forwarded-request.ts'
import type { Identity } from '../../../src/core/identity.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { anyText } from '../../support/any-text.ts'
import { holds } from '../../support/holds.ts'
import { hostPatterns, sitesOf } from '../../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../../support/raw-request.ts'
import { signedIn } from '../../support/signed-in.ts'
import { words } from '../../support/words.ts'

const sites = sitesOf('app.example.com', 'wiki.example.com', '*.apps.example.com')

interface RuleSource extends Partial<Pick<AccessRule, 'passesPreflight' | 'deniesDegraded'>> {
  readonly access: AccessRule['access']
  readonly bearer?: BearerRequirement
  readonly isOneTime?: boolean
  readonly paths?: readonly string[]
  readonly hosts?: readonly string[]
  readonly methods?: readonly string[]
  readonly allowed?: Partial<AllowedUsers>
}

function rule({ access, paths, methods, hosts: names, ...rest }: RuleSource): AccessRule {
  const { bearer: requirement, isOneTime = false, allowed, ...given } = rest
  const common = {
    name: '1',
    passesPreflight: false,
    ...given,
    ...(paths && { paths: paths.map(compilePathPattern) }),
    ...(names && { hosts: hostPatterns(...names) }),
    ...(methods && { methods: new Set(methods) }),
  }
  if (access !== 'signed-in') return { ...common, access }
  const nobody = {
    emails: new Set<string>(),
    emailDomains: new Set<string>(),
    groups: new Set<string>(),
  }
  return {
    ...common,
    access,
    ...(allowed && { allowed: { ...nobody, ...allowed } }),
    ...(requirement && { bearer: { requirement, isOneTime } }),
  }
}

function request(path: string, method = 'GET', host = 'app.example.com'): ForwardedRequest {
  const parts = { 'X-Forwarded-Uri': path, 'X-Forwarded-Method': method, 'X-Forwarded-Host': host }
  return parseForwardedRequest(sentHeaders(forwarded(parts)), sites)
}

function accessTo(rules: readonly RuleSource[], ...asked: Parameters<typeof request>) {
  return createAccessFinder(rules.map(rule))(request(...asked))
}

const signedInTo = (...given: Parameters<typeof accessTo>) => signedIn(accessTo(...given))

function person(changes: Partial<Identity> = {}): Identity {
  return { issuer: 'https://id.example.com', subject: 'u1', groups: [], claims: {}, ...changes }
}

describe('finding the rule', () => {
  test('no rule at all denies', () => expect(accessTo([], '/')).toEqual({ kind: 'deny' }))

  test('no rule that matches denies', () =>
    expect(accessTo([{ access: 'public', paths: ['/public/**'] }], '/private').kind).toBe('deny'))

  test('a rule for hosts is for those hosts', () => {
    const rules = [{ access: 'public', hosts: ['wiki.example.com', '*.apps.example.com'] }] as const
    const kindAt = (host: string) => accessTo(rules, '/', 'GET', host).kind
    const hosts = words`wiki.example.com x.apps.example.com app.example.com`
    expect(hosts.map(kindAt)).toEqual(['public', 'public', 'deny'])
  })

  test('all rules found for the readings of a path must be met together', () => {
    const both: RuleSource[] = [
      { access: 'signed-in', paths: ['/a/*'], allowed: { groups: new Set(['a']) } },
      { access: 'signed-in', paths: ['/a/*/*'], allowed: { groups: new Set(['b']) } },
    ]
    const permits = (...groups: string[]) =>
      signedInTo(both, '/a/x%2fy').permits({ identity: person({ groups }) })
    expect([permits('a'), permits('b'), permits('a', 'b')]).toEqual([false, false, true])
  })

  test('a reading without a rule denies, whatever the other readings have', () =>
    expect(accessTo([{ access: 'signed-in', paths: ['/a/*'] }], '/a/x%2fy').kind).toBe('deny'))

  test('one rule of those found is enough to let nobody in during an outage', () => {
    const strict: RuleSource[] = [
      { access: 'signed-in', paths: ['/admin/**'], deniesDegraded: true },
      { access: 'signed-in' },
    ]
    const denies = (path: string) => signedInTo(strict, path).deniesDegraded
    expect(words`/admin/a /ADMIN/a /%61dmin/a`.map(denies)).toEqual([true, true, true])
    expect(denies('/a')).toBe(false)
  })

  test('a preflight passes only where every rule found lets it', () => {
    const open = { access: 'signed-in', passesPreflight: true } as const
    expect(signedInTo([open], '/api').passesPreflight).toBe(true)
    const rules: RuleSource[] = [{ access: 'signed-in', paths: ['/api/closed/**'] }, open]
    expect(signedInTo(rules, '/api%2fclosed/a').passesPreflight).toBe(false)
    expect(accessTo([{ access: 'deny', passesPreflight: true }], '/')).toEqual({ kind: 'deny' })
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

  test.for<[string, RuleSource, boolean[]]>([
    ['public', { access: 'public' }, [false, false, false]],
    ['signed-in', { access: 'signed-in' }, [false, false, true]],
    ['degraded: deny', { access: 'signed-in', deniesDegraded: true }, [false, false, false]],
    ['bearer', { access: 'signed-in', bearer: a }, [true, false, true]],
    ['oneTime', { access: 'signed-in', bearer: a, isOneTime: true }, [true, true, true]],
  ])('a rule with %s takes tokens, tokens only, and sessions in an outage as it says', (row) => {
    const access = accessTo([row[1]], '/')
    expect([takesTokens(access), takesTokensOnly(access), allowsDegraded(access)]).toEqual(row[2])
  })

  test.for<[string, BearerAccess | undefined]>([
    ['/a/x', { requirements: [a], isOneTime: false }],
    ['/b/x', { requirements: [b], isOneTime: true }],
    ['/c', undefined],
    ['/b/a%2fx', { requirements: [b, a], isOneTime: true }],
    ['/%61/x', undefined],
    ['/OPEN', undefined],
    ['/API/x', { requirements: [a], isOneTime: false }],
    ['/api/x', undefined],
  ])('%s accepts what every rule found accepts', ([path, bearer]) =>
    expect(signedInTo(rules, path).bearer).toEqual(bearer),
  )

  test('a path for tokens of one use that may also be one for sessions is for nobody', () =>
    expect(accessTo(rules, '/b/x%2fy')).toEqual({ kind: 'deny' }))
})

describe('ambiguity may only remove a bypass', () => {
  // Two rules may differ in case, compatibility form or a final slash alone, and each server takes one of them.
  test.for([
    [['/Docs/**', '/docs/*'], '/%EF%BD%84ocs/a'],
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
  test('a rule with empty lists lets in nobody, and one without lists everybody', () => {
    expect(signedInTo([{ access: 'signed-in' }], '/').permits({ identity: person() })).toBe(true)
    const access = signedInTo([{ access: 'signed-in', allowed: {} }], '/')
    expect(
      access.permits({ identity: person({ email: 'alice@example.com', groups: ['admins'] }) }),
    ).toBe(false)
  })
})

describe('an e-mail address', () => {
  test('any text is plain lower-case ASCII with one at sign, or nothing', () => {
    const near = fc
      .array(fc.constantFrom('a', 'B', '@', '@', '.', '-', '"', ' ', '\u212a', '\u0130', 'x.com'))
      .map((parts) => parts.join(''))
    holds(1000, [fc.oneof(near, anyText, fc.emailAddress())], (value) => {
      const parsed = parseEmail(value)
      if (!parsed) return
      expect(parsed.email).toMatch(/^[\x21-\x3f\x5b-\x7e]+@[a-z0-9.-]+$/)
      expect(parsed.email.endsWith(`@${parsed.domain}`)).toBe(true)
      expect(parseEmail(parsed.email)).toEqual(parsed)
      expect(value).toMatch(/^[\x21-\x7e]+$/)
    })
  })
})
