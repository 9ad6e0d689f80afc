import { expect, test } from 'vitest'
import { createAccessFinder } from '../../../src/core/access/access-finder.ts'
import type { AccessRule } from '../../../src/core/access/access-rule.ts'
import type { Demand } from '../../../src/core/access/demand.ts'
import { parseForwardedRequest } from '../../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { sitesOf } from '../../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../../support/raw-request.ts'
import { signedIn } from '../../support/signed-in.ts'

const at = (path: string) => ({ paths: [compilePathPattern(path)], passesPreflight: false })
const rules: readonly AccessRule[] = [
  { ...at('/admin/**'), name: 'tried', access: 'deny', isReport: true },
  { ...at('/open/**'), name: 'open', access: 'public' },
  { ...at('/admin/**'), name: 'admin', access: 'signed-in' },
]
const findAccess = createAccessFinder(rules)
const request = (uri: string) =>
  parseForwardedRequest(
    sentHeaders(forwarded({ 'X-Forwarded-Uri': uri })),
    sitesOf('app.example.com'),
  )
const demand = (...groups: readonly string[]): Demand => ({
  conditions: [{ condition: { kind: 'groups', values: new Set(groups) } }],
})
const admin = { identity: { issuer: 'i', subject: 's', groups: ['admins'], claims: {} } }

test('a report rule never decides', () =>
  expect(findAccess(request('/admin/a')).kind).toBe('signed-in'))

test('a demand holds beside the rule, on public paths as well, and for its own checks only', () => {
  const [admins, others] = [demand('admins'), demand('others')]
  for (const uri of ['/open/a', '/admin/a']) {
    expect(signedIn(findAccess(request(uri), admins)).permits(admin), uri).toBe(true)
    expect(signedIn(findAccess(request(uri), others)).permits(admin), uri).toBe(false)
  }
  expect(findAccess(request('/open/a')).kind).toBe('public')
  expect(findAccess(request('/else'), admins)).toEqual({ kind: 'deny' })
})

test('the access of one rule and demand is made once', () => {
  const asked = demand('admins')
  expect(findAccess(request('/open/a'), asked)).toBe(findAccess(request('/open/b'), asked))
  expect(findAccess(request('/open/a'), asked)).not.toBe(findAccess(request('/admin/a'), asked))
  expect(findAccess(request('/open/a'), asked)).not.toBe(
    findAccess(request('/open/a'), demand('admins')),
  )
})
