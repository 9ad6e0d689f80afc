import { expect, test } from 'vitest'
import type { AccessRule } from '../../src/core/access-rule.ts'
import { parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../src/core/path-pattern.ts'
import { createRefusalReasons, type RefusalReason } from '../../src/core/refusal-reason.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { forwarded, rawRequest } from '../support/raw-request.ts'

const sites = sitesOf('app.example.com')
const asked = {
  groups: new Set(['a']),
  emails: new Set<string>(),
  emailDomains: new Set(['b.test']),
}
const token = {
  requirement: {
    type: 'jwt',
    issuers: new Set<string>(),
    audiences: new Set<string>(),
    scopes: [],
    claims: new Map(),
  },
  isOneTime: true,
} as const

const rules: readonly AccessRule[] = [
  { paths: [compilePathPattern('/deny')], access: 'deny', passesPreflight: false },
  {
    paths: [compilePathPattern('/lists/*')],
    access: 'signed-in',
    allowed: asked,
    passesPreflight: false,
  },
  { paths: [compilePathPattern('/public')], access: 'public', passesPreflight: false },
  {
    paths: [compilePathPattern('/token/*')],
    access: 'signed-in',
    bearer: token,
    passesPreflight: false,
  },
  {
    paths: [compilePathPattern('/**')],
    methods: new Set(['PUT']),
    access: 'signed-in',
    passesPreflight: false,
  },
  {
    paths: [compilePathPattern('/mail/*')],
    access: 'signed-in',
    allowed: { groups: new Set(), emails: new Set(['a@b.test']), emailDomains: new Set() },
    passesPreflight: false,
  },
  {
    paths: [compilePathPattern('/group/*')],
    access: 'signed-in',
    allowed: { groups: new Set(['a']), emails: new Set(), emailDomains: new Set() },
    passesPreflight: false,
  },
]
const explain = createRefusalReasons(rules)

test.for<[uri: string, method: string, email: string | undefined, reason: RefusalReason]>([
  [
    '/deny',
    'GET',
    undefined,
    { code: 'access_deny', rule: 1, reason: 'the rule has access: deny' },
  ],
  ['/else', 'GET', undefined, { code: 'no_rule', reason: 'no rule matches' }],
  [
    '/lists/a',
    'GET',
    undefined,
    {
      code: 'not_listed',
      rule: 2,
      asks: ['groups', 'emailDomains'],
      reason: 'the session has no groups; the session has no e-mail address that counts',
    },
  ],
  [
    '/lists/b',
    'GET',
    'x@c.test',
    {
      code: 'not_listed',
      rule: 2,
      asks: ['groups', 'emailDomains'],
      reason:
        "the groups of the session hold none of the rule's; the e-mail address of the session is not on the lists of the rule",
    },
  ],
  [
    '/mail/a',
    'GET',
    undefined,
    {
      code: 'not_listed',
      rule: 6,
      asks: ['emails'],
      reason: 'the session has no e-mail address that counts',
    },
  ],
  [
    '/group/a',
    'GET',
    undefined,
    { code: 'not_listed', rule: 7, asks: ['groups'], reason: 'the session has no groups' },
  ],
  ['/lists%2Fa', 'GET', 'x@b.test', { code: 'no_rule', reason: 'no rule matches' }],
  [
    '/token%2Fa',
    'PUT',
    undefined,
    {
      code: 'access_deny',
      reason: 'the path has several readings, whose rules take no credential in common',
    },
  ],
])('a refusal of %s with %s says why (C53)', ([uri, method, email, reason]) => {
  const parts = { 'X-Forwarded-Uri': uri, 'X-Forwarded-Method': method }
  const request = parseForwardedRequest(rawRequest(forwarded(parts)), sites)
  const groups = email === undefined ? [] : ['z']
  const identity = { issuer: 'i', subject: 's', groups, claims: {}, ...(email && { email }) }
  expect(explain(request, identity)).toEqual(reason)
})
