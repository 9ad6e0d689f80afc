import fc from 'fast-check'
import type { Question } from '../../src/core/access/explain/question.ts'
import {
  CLAIMS,
  conditions,
  EMAILS,
  GROUPS,
  some,
  TEXTS,
  USERS,
} from './policy-model/written-conditions.ts'
import { words } from './words.ts'

const where = {
  paths: fc.subarray(['/a/**', '/A/b', '/b-c/**', '/*/x', '/**'], { minLength: 1 }),
  methods: fc.subarray(['GET', 'POST', 'OPTIONS'], { minLength: 1 }),
}

const openRule = fc.record(
  { ...where, access: fc.constantFrom('public', 'optional', 'deny') },
  { requiredKeys: ['access'] },
)

const signedInRule = fc.record(
  {
    ...where,
    access: fc.constant('signed-in'),
    groups: some(GROUPS),
    emails: some(EMAILS),
    allow: conditions,
    policy: fc.constant('p'),
    report: fc.constant(true),
    preflight: fc.constant('pass'),
    bearer: fc.constant({ audiences: ['api'] }),
  },
  { requiredKeys: ['access'] },
)

/** Rules and one policy, as written in the file. */
export const anyRulesFile = fc.record({
  policies: conditions.map((p) => ({ p })),
  rules: fc.array(fc.oneof(openRule, signedInRule, signedInRule), { maxLength: 4 }),
})

const TARGETS = words`
  /a/b /A/B/ /a%2fb /x/x /b-c/%2e%2e/a /a;b/x /a//b?q=1 /oauth2/me /%2561/b /a/b%00c
`

const claimValue = fc.oneof(
  fc.constantFrom<unknown>(...TEXTS, 1, true, TEXTS, '', null),
  fc.jsonValue({ maxDepth: 2 }),
)

/** Questions about a host, half of them about somebody. */
export function anyQuestion(host: string): fc.Arbitrary<Question> {
  const request = {
    url: fc.constantFrom(...TARGETS).map((target) => `https://${host}${target}`),
    method: fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'HEAD', 'TRACE'),
    ip: fc.constantFrom('203.0.113.7', '198.51.100.1', '10.0.0.1', '::ffff:203.0.113.1'),
    policy: fc.constantFrom('p', 'p', 'q'),
  }
  const person = {
    user: fc.constantFrom(...USERS),
    email: fc.constantFrom(...EMAILS, 'b@example.org'),
    groups: fc.subarray(GROUPS),
    claims: fc.dictionary(fc.constantFrom(...CLAIMS), claimValue, { maxKeys: 4 }),
  }
  return fc.oneof(
    fc.record(request, { requiredKeys: ['url'] }),
    fc.record({ ...request, ...person }, { requiredKeys: ['url', 'user'] }),
  )
}
