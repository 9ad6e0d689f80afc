import fc from 'fast-check'
import type { Question } from '../../src/core/access/explain/question.ts'
import { words } from './words.ts'

const leaf: fc.Arbitrary<object> = fc.oneof(
  fc.record({ groups: fc.subarray(['g1', 'g2'], { minLength: 1 }) }),
  fc.constantFrom<object>(
    { users: ['ada'] },
    { emails: ['a@example.com'] },
    { emailDomains: ['example.com'] },
    { networks: ['192.0.2.0/24'] },
    { claims: { dept: ['7', 'it'] } },
    { claims: { dept: [true] }, groups: ['g1'] },
  ),
)

const { condition } = fc.letrec<{ condition: object }>((tie) => {
  const parts = fc.array(tie('condition'), { minLength: 1, maxLength: 2 })
  const combined = fc
    .tuple(fc.constantFrom('all', 'any', 'none'), parts)
    .map(([key, of]) => ({ [key]: of }))
  return { condition: fc.oneof({ maxDepth: 3 }, leaf, combined) }
})

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
    groups: fc.constantFrom(['g1'], ['g2', 'g1']),
    emails: fc.constant(['a@example.com']),
    allow: condition,
    policy: fc.constant('p'),
    report: fc.constant(true),
    preflight: fc.constant('pass'),
    bearer: fc.constant({ audiences: ['api'] }),
  },
  { requiredKeys: ['access'] },
)

/** Rules and one policy, as written in the file. */
export const anyRulesFile = fc.record({
  policies: condition.map((p) => ({ p })),
  rules: fc.array(fc.oneof(openRule, signedInRule, signedInRule), { maxLength: 4 }),
})

const TARGETS = words`
  /a/b /A/B/ /a%2fb /x/x /b-c/%2e%2e/a /a;b/x /a//b?q=1 /oauth2/me /%2561/b /a/b%00c
`

const claimValue = fc.oneof(
  fc.constantFrom<unknown>('it', 7, true, ['hr', 'it'], '', null),
  fc.jsonValue({ maxDepth: 2 }),
)

/** Questions about a host, half of them about somebody. */
export function anyQuestion(host: string): fc.Arbitrary<Question> {
  const request = {
    url: fc.constantFrom(...TARGETS).map((target) => `https://${host}${target}`),
    method: fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'HEAD', 'TRACE'),
    ip: fc.constantFrom('192.0.2.9', '198.51.100.1', '10.0.0.1', '::ffff:192.0.2.1'),
    policy: fc.constantFrom('p', 'p', 'q'),
  }
  const person = {
    user: fc.constantFrom('ada', 'bob'),
    email: fc.constantFrom('a@example.com', 'b@Example.com', 'b@example.org'),
    groups: fc.subarray(['g1', 'g2', 'g3']),
    claims: fc.record({ dept: claimValue, groups: claimValue }, { requiredKeys: [] }),
  }
  return fc.oneof(
    fc.record(request, { requiredKeys: ['url'] }),
    fc.record({ ...request, ...person }, { requiredKeys: ['url', 'user'] }),
  )
}
