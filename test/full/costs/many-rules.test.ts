import { expect, test } from 'vitest'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { startProvider } from '../../../stand-ins/provider/provider.ts'
import { createExecutionCounter } from '../../support/executed-source.ts'
import { prepared } from '../../support/prepared.ts'
import { writeRules } from '../../support/rules-file.ts'
import { TWENTY_CONDITIONS } from '../../support/twenty-conditions.ts'
import { type Forwarded, startVestibule, testClient } from '../../support/vestibule.ts'

/** Bound on a check beside many rules and conditions, in checks beside two rules. */
const BOUND = 1.5

type Shape = readonly [name: string, rule: (index: number) => Partial<RuleSource>, asked: Asked]
type Asked = (last: number) => Forwarded

const SHAPES: readonly Shape[] = [
  [
    'different first segments',
    (index) => ({ paths: [`/app${index}/**`] }),
    (last) => ({ uri: `/app${last}/a/b` }),
  ],
  [
    'one deep prefix',
    (index) => ({ paths: [`/api/v1/teams/items/x${index}`, `/api/v1/teams/items/x${index}/**`] }),
    (last) => ({ uri: `/api/v1/teams/items/x${last}/a` }),
  ],
  [
    'stars and tails',
    (index) => ({ paths: [`/*/**/edit${index}`] }),
    (last) => ({ uri: `/a/b/c/edit${last}` }),
  ],
  [
    'different hosts',
    (index) => ({ hosts: [`app${index}.example.com`] }),
    (last) => ({ host: `app${last}.example.com` }),
  ],
  [
    'wildcard hosts',
    (index) => ({ hosts: [`*.team${index}.example.com`] }),
    (last) => ({ host: `a.team${last}.example.com` }),
  ],
  [
    'methods',
    (index) => ({ paths: [`/app${index >> 1}/**`], methods: [index % 2 ? 'GET' : 'POST'] }),
    (last) => ({ uri: `/app${last >> 1}/a/b` }),
  ],
  [
    'capitals and final slashes',
    (index) => ({ paths: [`/App${index}/`, `/App${index}/**`] }),
    (last) => ({ uri: `/App${last}/a/` }),
  ],
  [
    'a path with several readings',
    (index) => ({ paths: [`/app${index}/**`] }),
    (last) => ({ uri: `/app${last}/a%2Fb;v=1` }),
  ],
]

const provider = prepared(() => startProvider({ clients: [testClient] }))
const counter = prepared(createExecutionCounter)

/** Counts an allowed check of a signed-in person, the cheapest of some, because other work may fall into one. */
async function costOf(
  [, ruleAt, asked]: Shape,
  count: number,
  conditions: Partial<RuleSource> = {},
): Promise<number> {
  const rules = Array.from({ length: count }, (_, index) => ({
    ...ruleAt(index),
    access: 'signed-in' as const,
    ...conditions,
  }))
  await using file = await writeRules(rules, { policies: { twenty: TWENTY_CONDITIONS } })
  await using vestibule = await startVestibule({
    OIDC_ISSUER_URL: provider().issuer,
    PROTECTED_HOSTS: 'app.example.com,*.example.com',
    PUBLIC_URL: 'https://app.example.com',
    COOKIE_DOMAIN: 'example.com',
    VESTIBULE_CONFIG: file.path,
    ALLOW_ANY_USER: 'false',
  })
  const request = asked(count - 1)
  const headers = { Cookie: await vestibule.signIn('alice') }
  const counts: number[] = []
  for (let round = 0; round < 5; round++) {
    const { result, characters } = await counter().count(() => vestibule.check(request, headers))
    expect(result.status).toBe(200)
    counts.push(characters)
  }
  return Math.min(...counts)
}

test.for(SHAPES)(
  'a check beside 200 rules and 20 conditions costs at most 1.5 of one beside two: %s',
  async (shape) => {
    const two = await costOf(shape, 2)
    const many = await costOf(shape, 200)
    const withConditions = await costOf(shape, 200, { policy: 'twenty' })
    expect(many).toBeLessThan(BOUND * two)
    expect(withConditions).toBeLessThan(BOUND * two)
  },
)
