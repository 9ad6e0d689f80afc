import { expect, test } from 'vitest'
import { createAccessFinder } from '../../../src/core/access/access-finder.ts'
import type { AccessRule, SignedInRule } from '../../../src/core/access/access-rule.ts'
import type { AllowedUsers } from '../../../src/core/access/allowed-users.ts'
import type { Condition, RequiredCondition } from '../../../src/core/access/condition.ts'
import {
  createRefusalReasons,
  type RefusalReason,
  type RefusedRequest,
} from '../../../src/core/access/refusal-reason.ts'
import { createRuleFinder } from '../../../src/core/access/rule-finder.ts'
import type { Bearer } from '../../../src/core/bearer.ts'
import { parseForwardedRequest } from '../../../src/core/forwarded-request.ts'
import type { Identity } from '../../../src/core/identity.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { sitesOf } from '../../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../../support/raw-request.ts'

type Lists = Partial<Readonly<Record<keyof AllowedUsers, readonly string[]>>>

type Unnamed = AccessRule extends infer Rule
  ? Rule extends AccessRule
    ? Omit<Rule, 'name'>
    : never
  : never

function signedIn(
  path: string,
  { groups, emails, emailDomains }: Lists,
): Omit<SignedInRule, 'name'> {
  const allowed = {
    groups: new Set(groups),
    emails: new Set(emails),
    emailDomains: new Set(emailDomains),
  }
  return { ...at(path), access: 'signed-in', allowed }
}

function asking(path: string, ...conditions: readonly RequiredCondition[]): Unnamed {
  return { ...at(path), access: 'signed-in', conditions }
}

function at(path: string) {
  return { paths: [compilePathPattern(path)], passesPreflight: false }
}

const requirement = {
  issuers: new Set(['i']),
  audiences: new Set(['here']),
  scopes: ['read', 'write'],
  claims: new Map([['tenant', new Set(['a'])]]),
}
const office: Condition = {
  kind: 'networks',
  networks: { sources: ['192.0.2.0/24'], contains: (address) => address.startsWith('192.0.2.') },
}
const inA: Condition = { kind: 'groups', values: new Set(['a']) }
const unnamed: readonly Unnamed[] = [
  { ...at('/deny'), access: 'deny' },
  signedIn('/lists/*', { groups: ['a'], emailDomains: ['b.test'] }),
  signedIn('/mail/*', { emails: ['a@b.test'] }),
  signedIn('/group/*', { groups: ['a'] }),
  {
    ...at('/token/*'),
    access: 'signed-in',
    bearer: { requirement: { ...requirement, type: 'jwt' }, isOneTime: true },
  },
  { ...at('/open'), access: 'public' },
  { ...at('/**'), methods: new Set(['PUT']), access: 'signed-in' },
  asking('/office', { condition: office }),
  asking('/admins', { condition: office }, { condition: inA, policy: 'admins' }),
  { ...signedIn('/both', { groups: ['a'] }), conditions: [{ condition: office }] },
  { ...signedIn('/**', { groups: ['b'] }), methods: new Set(['PATCH']) },
]
const rules = unnamed.map((rule, index): AccessRule => ({ ...rule, name: String(index + 1) }))
const explainRefusal = createRefusalReasons(createRuleFinder(rules))
const findAccess = createAccessFinder(rules)

/** Explains the refusal of a request to which the rules and the middleware give its access. */
function explain(refused: Omit<RefusedRequest, 'access'>, identity: Identity, token?: Bearer) {
  const access = findAccess(refused.request, refused.demand)
  return explainRefusal({ ...refused, access }, identity, token)
}

function requestOf(what: string) {
  const [method = '', uri = ''] = what.split(' ')
  const parts = { 'X-Forwarded-Uri': uri, 'X-Forwarded-Method': method }
  return parseForwardedRequest(sentHeaders(forwarded(parts)), sitesOf('app.example.com'))
}

const NO_RULE: RefusalReason = { code: 'no_rule', reason: 'no rule matches' }
const NOTHING_IN_COMMON: RefusalReason = {
  code: 'access_deny',
  reason: 'the path has several readings, whose rules take no credential in common',
}
const NO_GROUPS_OF_TOKEN = 'the groups of the token are not known'
const NO_GROUPS = 'the groups of the session are not known'
const NO_EMAIL = 'the session has no e-mail address that counts'
const OTHERS =
  "the groups of the session hold none of the rule's; the e-mail address of the session is not on the lists of the rule"
const BOTH: RefusalReason['asks'] = ['groups', 'emailDomains']

test.for<[what: string, email: string | undefined, reason: RefusalReason]>([
  ['GET /deny', undefined, { code: 'access_deny', rule: '1', reason: 'the rule has access: deny' }],
  ['GET /else', undefined, NO_RULE],
  [
    'GET /lists/a',
    undefined,
    { code: 'not_listed', rule: '2', asks: BOTH, reason: `${NO_GROUPS}; ${NO_EMAIL}` },
  ],
  ['GET /lists/a', 'x@c.test', { code: 'not_listed', rule: '2', asks: BOTH, reason: OTHERS }],
  ['GET /mail/a', undefined, { code: 'not_listed', rule: '3', asks: ['emails'], reason: NO_EMAIL }],
  [
    'GET /group/a',
    undefined,
    { code: 'not_listed', rule: '4', asks: ['groups'], reason: NO_GROUPS },
  ],
  ['GET /lists%2Fa', 'x@b.test', NO_RULE],
  // Says what refuses everybody, because to be listed would not help.
  ['GET /lists/a%2Fb', 'x@c.test', NO_RULE],
  ['PATCH /token%2Fa', 'x@c.test', NOTHING_IN_COMMON],
  ['PUT /token%2Fa', undefined, NOTHING_IN_COMMON],
  ['GET /open', undefined, NOTHING_IN_COMMON],
])('a refusal of %s for %s says why (C53)', ([what, email, reason]) => {
  const groups = email === undefined ? [] : ['z']
  const identity = { issuer: 'i', subject: 's', groups, claims: {}, ...(email && { email }) }
  expect(explain({ request: requestOf(what) }, identity)).toEqual(reason)
})

test.for<[isKnown: boolean, reason: string]>([
  [true, 'the session has no groups'],
  [false, NO_GROUPS],
])('no groups and unknown groups are told apart: %s', ([areGroupsKnown, reason]) => {
  const identity = { issuer: 'i', subject: 's', groups: [], areGroupsKnown, claims: {} }
  expect(explain({ request: requestOf('GET /group/a') }, identity)).toMatchObject({ reason })
})

const ELSEWHERE = "networks: the client's address is in none of them"
const demanded = 'the address of the middleware demands what is not met'
const IN_A: RequiredCondition = { condition: inA }

test.for<[what: string, who: Refused, reason: RefusalReason]>([
  ['GET /office', {}, { code: 'condition', rule: '8', reason: ELSEWHERE }],
  [
    'GET /admins',
    { address: '192.0.2.7' },
    { code: 'policy', policy: 'admins', rule: '9', reason: 'groups: none of the wanted ones' },
  ],
  ['GET /admins', { groups: ['a'] }, { code: 'condition', rule: '9', reason: ELSEWHERE }],
  ['GET /both', { groups: ['a'] }, { code: 'condition', rule: '10', reason: ELSEWHERE }],
  [
    'GET /both',
    {},
    { code: 'not_listed', rule: '10', asks: ['groups'], reason: 'the session has no groups' },
  ],
  [
    'GET /open',
    { demands: [IN_A] },
    { code: 'demanded_groups', reason: `${demanded}: groups: none of the wanted ones` },
  ],
  [
    'GET /open',
    { groups: ['a'], demands: [IN_A, { condition: office, policy: 'office' }] },
    { code: 'demanded_policy', policy: 'office', reason: `${demanded}: ${ELSEWHERE}` },
  ],
  ['GET /office', { demands: [IN_A] }, { code: 'condition', rule: '8', reason: ELSEWHERE }],
])('a refusal of %s by a condition says why: %o', ([what, who, reason]) => {
  const { groups = [], address = '203.0.113.7', demands } = who
  const identity: Identity = { issuer: 'i', subject: 's', groups, areGroupsKnown: true, claims: {} }
  const demand = demands && { conditions: demands }
  expect(explain({ request: requestOf(what), demand, address }, identity)).toEqual(reason)
})

interface Refused {
  readonly groups?: readonly string[]
  readonly address?: string
  readonly demands?: readonly RequiredCondition[]
}

const scopes = new Set(['read', 'write'])
const LACKS = {
  scope: { code: 'insufficient_scope', reason: 'the token lacks one of the scopes read write' },
  claim: {
    code: 'token_claims',
    reason: 'the token lacks a value that the rule asks for: tenant',
  },
} as const

test.for<[uri: string, token: Partial<Bearer>, reason: RefusalReason]>([
  ['/token/a', { scopes: new Set(['read']) }, { ...LACKS.scope, rule: '5' }],
  ['/token/a', { scopes }, { ...LACKS.claim, rule: '5' }],
  ['/group/a', {}, { code: 'not_listed', rule: '4', asks: ['groups'], reason: NO_GROUPS_OF_TOKEN }],
  ['/token/a', { scopes, claims: { tenant: 'a' } }, NOTHING_IN_COMMON],
])('a refusal of a token at %s says why (C53)', ([uri, changes, reason]) => {
  const request = requestOf(`GET ${uri}`)
  const identity = { issuer: 'i', subject: 's', groups: [], claims: {} }
  const limits = { jti: 'j', lifeSeconds: 60, acceptedUntil: 0 }
  const known = { type: 'jwt', audiences: ['here'], scopes: new Set<string>(), claims: {} } as const
  expect(explain({ request }, identity, { ...known, ...limits, identity, ...changes })).toEqual(
    reason,
  )
})
