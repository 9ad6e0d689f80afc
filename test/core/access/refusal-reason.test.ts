import { expect, test } from 'vitest'
import type { AccessRule } from '../../../src/core/access/access-rule.ts'
import type { AllowedUsers } from '../../../src/core/access/allowed-users.ts'
import {
  createRefusalReasons,
  type RefusalReason,
} from '../../../src/core/access/refusal-reason.ts'
import type { Bearer } from '../../../src/core/bearer.ts'
import { parseForwardedRequest } from '../../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { sitesOf } from '../../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../../support/raw-request.ts'

type Lists = Partial<Readonly<Record<keyof AllowedUsers, readonly string[]>>>

type Unnamed = AccessRule extends infer Rule
  ? Rule extends AccessRule
    ? Omit<Rule, 'name'>
    : never
  : never

function signedIn(path: string, { groups, emails, emailDomains }: Lists): Unnamed {
  const allowed = {
    groups: new Set(groups),
    emails: new Set(emails),
    emailDomains: new Set(emailDomains),
  }
  return { ...at(path), access: 'signed-in', allowed }
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
]
const explain = createRefusalReasons(
  unnamed.map((rule, index) => ({ ...rule, name: String(index + 1) })),
)

const NO_RULE: RefusalReason = { code: 'no_rule', reason: 'no rule matches' }
const NOTHING_IN_COMMON: RefusalReason = {
  code: 'access_deny',
  reason: 'the path has several readings, whose rules take no credential in common',
}
const NO_GROUPS_OF_TOKEN = 'the token has no groups'
const NO_GROUPS = 'the session has no groups'
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
  ['PUT /token%2Fa', undefined, NOTHING_IN_COMMON],
  ['GET /open', undefined, NOTHING_IN_COMMON],
])('a refusal of %s for %s says why (C53)', ([what, email, reason]) => {
  const [method = '', uri = ''] = what.split(' ')
  const parts = { 'X-Forwarded-Uri': uri, 'X-Forwarded-Method': method }
  const request = parseForwardedRequest(sentHeaders(forwarded(parts)), sitesOf('app.example.com'))
  const groups = email === undefined ? [] : ['z']
  const identity = { issuer: 'i', subject: 's', groups, claims: {}, ...(email && { email }) }
  expect(explain(request, identity)).toEqual(reason)
})

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
  const parts = forwarded({ 'X-Forwarded-Uri': uri })
  const request = parseForwardedRequest(sentHeaders(parts), sitesOf('app.example.com'))
  const identity = { issuer: 'i', subject: 's', groups: [], claims: {} }
  const limits = { jti: 'j', lifeSeconds: 60, acceptedUntil: 0 }
  const known = { type: 'jwt', audiences: ['here'], scopes: new Set<string>(), claims: {} } as const
  expect(explain(request, identity, { ...known, ...limits, identity, ...changes })).toEqual(reason)
})
