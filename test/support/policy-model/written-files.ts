import fc from 'fast-check'
import type { WrittenFile } from './written.ts'
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

/** Makes a value that a file leaves out, as often as the weight says to one time that it is there. */
function rarely<Value>(
  weight: number,
  value: fc.Arbitrary<Value>,
): fc.Arbitrary<Value | undefined> {
  return fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
}

const requests = fc.record({
  paths: rarely(1, some(PATHS)),
  hosts: rarely(3, some(HOSTS)),
  methods: rarely(3, some(METHODS)),
})

const lists = fc.record(
  {
    groups: some(GROUPS),
    emails: some(EMAILS),
    emailDomains: some(['example.com', 'corp.example']),
  },
  { requiredKeys: [] },
)

const degraded = rarely(9, fc.constant('deny'))
const report = rarely(4, fc.constant(true))
const openRule = fc.record({ access: fc.constantFrom('public', 'optional'), degraded })
const denyRule = fc.record({ access: fc.constant('deny'), degraded, report })

function signedInRule(policies: readonly string[]) {
  const none = fc.constant(undefined)
  return fc
    .record({
      access: fc.constant('signed-in'),
      lists: rarely(2, lists),
      allow: rarely(1, conditions),
      policy: policies.length > 0 ? rarely(2, fc.constantFrom(...policies)) : none,
      report,
      preflight: rarely(2, fc.constant('pass')),
      degraded,
    })
    .map(({ lists: found, ...rule }) => ({ ...rule, ...found }))
}

function rule(policies: readonly string[]) {
  const kind = fc.oneof(
    { weight: 3, arbitrary: openRule },
    { weight: 1, arbitrary: denyRule },
    { weight: 8, arbitrary: signedInRule(policies) },
  )
  return fc.tuple(requests, kind, fc.boolean()).map(([where, what, isNamed]) => ({
    isNamed,
    rule: { ...where, ...what },
  }))
}

const policies = fc.dictionary(
  fc.constantFrom(...POLICIES),
  fc.oneof(
    { weight: 4, arbitrary: conditions },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }).chain(deepConditions) },
  ),
  { maxKeys: 3 },
)

const settings = fc.record({
  publicPaths: rarely(4, some(PATHS)),
  allowedGroups: rarely(4, some(['staff', 'a'])),
  allowedEmails: rarely(6, some(EMAILS)),
  allowedEmailDomains: rarely(6, some(['example.com'])),
  trustedProxies: rarely(
    3,
    fc.constantFrom(['127.0.0.1', '192.0.2.0/24'], ['127.0.0.1', '2001:db8:f::/48']),
  ),
  oidc: rarely(
    1,
    fc.record(
      {
        groupsClaim: fc.constantFrom(
          'roles',
          'realm_access.roles',
          String.raw`https://x\.test/role`,
        ),
        groupsSeparator: fc.constantFrom(',', 'space'),
        emailClaim: fc.constant('upn'),
        trustEmail: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
  ),
})

/** Files with one to twelve rules, policies, lists and settings of the provider. */
export const writtenFiles: fc.Arbitrary<WrittenFile> = fc
  .tuple(policies, settings)
  .chain(([named, others]) =>
    fc
      .array(rule(Object.keys(named)), { minLength: 1, maxLength: 12 })
      .map((rules) => writtenFile({ ...others, policies: named }, rules)),
  )
  .filter(isUsable)

/** Writes a file as JSON does, which leaves out what is `undefined`. */
function writtenFile(
  settings: object,
  rules: readonly { readonly isNamed: boolean; readonly rule: object }[],
): WrittenFile {
  const named = rules.map(({ isNamed, rule: each }, at) =>
    isNamed ? { name: `rule ${at}`, ...each } : each,
  )
  return JSON.parse(JSON.stringify({ ...settings, rules: named })) as WrittenFile
}

/** Returns whether a file says who may enter, because one that only reports stops a start. */
function isUsable({ rules, publicPaths, ...others }: WrittenFile): boolean {
  const isNaming = Object.keys(others).some((key) => key.startsWith('allowed'))
  return isNaming || publicPaths !== undefined || rules.some(({ report }) => report !== true)
}
