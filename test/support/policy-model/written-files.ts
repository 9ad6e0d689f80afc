import fc from 'fast-check'
import type { WrittenCondition, WrittenFile, WrittenRule } from './written.ts'
import { conditions, deepConditions, EMAILS, GROUPS, some } from './written-conditions.ts'

const POLICIES = ['p', 'admins', 'constructor', 'to.String-1', 'P']
export { POLICIES }

const PATHS = [
  '/**',
  '/public/**',
  '/Admin/**',
  '/admin/*',
  '/api/**',
  '/a/*/c',
  '/debug',
  '/status',
  '/café/*',
  '/x/**',
  '/**/a',
  '/m2',
]
const HOSTS = ['app.example.com', 'other.example.com', '*.wild.example.com', '*.example.com']
const METHODS = ['GET', 'POST', 'OPTIONS', 'LIST']

/** Returns an object with some of these members. */
function sometimes<Members extends object>(
  members: { readonly [Name in keyof Members]: fc.Arbitrary<Members[Name]> },
): fc.Arbitrary<Partial<Members>> {
  return fc.record(members, { requiredKeys: [] }) as fc.Arbitrary<Partial<Members>>
}

function rarely<Value>(weight: number, value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.oneof(
    { weight, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: value },
  )
}

const requests = fc.record({
  paths: rarely(1, some(PATHS)),
  hosts: rarely(3, some(HOSTS)),
  methods: rarely(3, some(METHODS)),
})

const lists = sometimes({
  groups: some(GROUPS),
  emails: some(EMAILS),
  emailDomains: some(['example.com', 'corp.example']),
})

const openRule = fc.record({
  access: fc.constantFrom('public', 'public', 'optional', 'optional', 'deny' as const),
  degraded: rarely(9, fc.constant('deny' as const)),
})

function signedInRule(policies: readonly string[]) {
  return fc
    .record({
      access: fc.constant('signed-in' as const),
      lists: rarely(2, lists),
      allow: rarely(1, conditions),
      policy: policies.length > 0 ? rarely(2, fc.constantFrom(...policies)) : fc.constant(undefined),
      report: rarely(4, fc.constant(true as const)),
      preflight: rarely(5, fc.constant('pass' as const)),
      degraded: rarely(9, fc.constant('deny' as const)),
    })
    .map(({ lists: found, ...rule }) => ({ ...rule, ...found }))
}

function rule(policies: readonly string[]): fc.Arbitrary<WrittenRule> {
  const kind = fc.oneof(
    { weight: 2, arbitrary: openRule as fc.Arbitrary<Partial<WrittenRule>> },
    { weight: 5, arbitrary: signedInRule(policies) as fc.Arbitrary<Partial<WrittenRule>> },
  )
  return fc.tuple(requests, kind).map(([where, what]) => written({ ...where, ...what }))
}

/** Leaves out what is `undefined`, as a file does. */
function written<Value>(value: object): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}

const policies = fc.dictionary(
  fc.constantFrom(...POLICIES),
  fc.oneof(
    { weight: 4, arbitrary: conditions },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 8 }).chain(deepConditions) },
  ),
  { maxKeys: 3 },
) as fc.Arbitrary<Record<string, WrittenCondition>>

const settings = fc.record({
  publicPaths: rarely(4, some(PATHS)),
  allowedGroups: rarely(4, some(['staff', 'a'])),
  allowedEmails: rarely(6, some(EMAILS)),
  allowedEmailDomains: rarely(6, some(['example.com'])),
  trustedProxies: rarely(3, fc.constantFrom(['127.0.0.1', '192.0.2.0/24'], ['127.0.0.1', '2001:db8:f::/48'])),
  oidc: rarely(
    1,
    sometimes({
      groupsClaim: fc.constantFrom('roles', 'realm_access.roles', String.raw`https://x\.test/role`),
      groupsSeparator: fc.constantFrom(',', 'space'),
      emailClaim: fc.constant('upn'),
      trustEmail: fc.boolean(),
    }),
  ),
})

/** Files with one to twelve rules, policies, lists and settings of the provider. */
export const writtenFiles: fc.Arbitrary<WrittenFile> = fc
  .tuple(policies, settings)
  .chain(([named, others]) =>
    fc
      .array(rule(Object.keys(named)), { minLength: 1, maxLength: 12 })
      .map((rules) =>
        written<WrittenFile>({
          ...others,
          ...(Object.keys(named).length > 0 && { policies: named }),
          rules,
        }),
      ),
  )
  .filter(isUsable)

/** Returns whether a file says who may enter, because one that only reports stops a start. */
function isUsable({ rules, publicPaths, ...others }: WrittenFile): boolean {
  const isNaming = Object.keys(others).some((key) => key.startsWith('allowed'))
  return isNaming || publicPaths !== undefined || rules.some(({ report }) => report !== true)
}
