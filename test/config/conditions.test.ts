import { describe, expect, test } from 'vitest'
import { describeCondition } from '../../src/core/access/describe-condition.ts'
import { problemRows, problemsOf, useSettingsFile } from '../support/configuration.ts'
import { words } from '../support/words.ts'

const { withFile, rulesOf } = useSettingsFile()
const rule = (text: string) => `rules: [{ access: signed-in, ${text} }]`
const allow = (condition: string) => rule(`allow: { ${condition} }`)

describe('conditions', () => {
  test.for([
    ['groups: [a, "b, c"]', 'groups: a, "b, c"'],
    ['groups: [CN=a]', 'groups: CN=a'],
    ['groups: ["CN=a,OU=b"]', 'groups: "CN=a,OU=b"'],
    ['groups: [" a "]', 'groups: a'],
    ['users: [u1]', 'users: u1'],
    ['emails: [Ada@Example.com]', 'emails: ada@example.com'],
    ['emailDomains: [Example.COM]', 'emailDomains: example.com'],
    ['networks: [192.0.2.0/24, 2001:db8::1]', 'networks: 192.0.2.0/24, 2001:db8::1'],
    ['claims: { role: lead }', 'claim role: lead'],
    ['claims: { role: [lead, 3, true, 0.5] }', 'claim role: lead, 3, true, 0.5'],
    ['claims: { "a.b/c": [x], d\\.e: [y] }', 'all (claim a.b/c: x; claim d\\.e: y)'],
    ['claims: { level: "0123" }', 'claim level: 0123'],
    ['claims: { constructor: [x] }', 'claim constructor: x'],
    ['claims: { groups: [a] }', 'groups: a'],
    ['claims: { email: [Ada@Example.com] }', 'emails: ada@example.com'],
    ['claims: { sub: [7] }', 'users: 7'],
    ['claims: { name: [Ada] }', 'claim name: Ada'],
    ['networks: [192.0.2.7], groups: [a]', 'all (groups: a; networks: 192.0.2.7)'],
    ['any: [{ groups: [a] }, { users: [u] }]', 'any (groups: a; users: u)'],
    ['groups: [a], none: [{ users: [u] }]', 'all (groups: a; none (users: u))'],
  ])('{ %s } is %s', async ([source = '', expected]) => {
    const [compiled] = (await rulesOf(allow(source), { ALLOW_ANY_USER: '' })).rules
    const conditions = compiled?.access === 'signed-in' ? (compiled.conditions ?? []) : []
    expect(conditions.map(({ condition }) => describeCondition(condition))).toEqual([expected])
  })

  test.for(problemRows`
    {}
    ^VESTIBULE_CONFIG: rules\.0\.allow: is an empty map, which could mean everybody or nobody
    { group: [a] }
    ^VESTIBULE_CONFIG: rules\.0\.allow: Unrecognized key: "group"
    { policy: a }
    ^VESTIBULE_CONFIG: rules\.0\.allow: Unrecognized key: "policy"
    [a]
    ^VESTIBULE_CONFIG: rules\.0\.allow: is not a condition such as
    { groups: a }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.groups: is not a list such as \[a, b\]$
    { groups: [] }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.groups: is an empty list
    { groups: [7] }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.groups\.0: is not a text: write it in quotes$
    { groups: [" "] }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.groups\.0: is an empty text$
    { groups: [CN=a, OU=b] }
    ^rules\.0\.allow\.groups: has the parts of a distinguished name
    { claims: { memberOf: [CN=a, OU=b] } }
    ^rules\.0\.allow\.claims\.memberOf: has the parts of a distinguished name
    { emails: [ada@example.com, ada] }
    ^rules\.0\.allow\.emails\.1: is not an e-mail address: write ada@example.com
    { emails: [ad\u0131@example.com] }
    ^rules\.0\.allow\.emails\.0: is not an e-mail address
    { claims: { email: [ada] } }
    ^rules\.0\.allow\.claims\.email\.0: is not an e-mail address
    { emailDomains: ["@example.com"] }
    ^rules\.0\.allow\.emailDomains\.0: is not a domain: write example\.com, without @$
    { networks: [192.0.2.0/33] }
    ^rules\.0\.allow\.networks\.0: is not a network: write 192\.0\.2\.0/24
    { networks: ['fe80::1%eth0'] }
    ^rules\.0\.allow\.networks\.0: is not a network
    { any: [{ groups: [a] }, { networks: [192.0.2.1, office] }] }
    ^rules\.0\.allow\.any\.1\.networks\.1: is not a network
    { all: [] }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.all: is an empty list
    { any: [{}] }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.any\.0: is an empty map
    { none: { groups: [a] } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.none: is not a list such as \[\{ groups: \[a\] \}\]$
    { any: [admins] }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.any\.0: is not a condition such as
    { claims: {} }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims: is an empty map
    { claims: { a: [] } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims\.a: is an empty list
    { claims: { a: .inf } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims\.a: is neither
    { claims: { a: } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims\.a: is neither a text, a number, true or false
    { claims: { a: { b: c } } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims\.a: is neither
    { claims: { a: [[b]] } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims\.a(?:\.0)?: is neither
    { claims: { a: "" } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims\.a: is an empty text$
    { claims: { __proto__: [a], b: [c] } }
    ^VESTIBULE_CONFIG: rules\.0\.allow\.claims: has the key __proto__
    { __proto__: { groups: [a] } }
    ^VESTIBULE_CONFIG: rules\.0\.allow: Unrecognized key: "__proto__"
  `)('allow: %s has the problem %s', async ([source, reason]) => {
    const problems = problemsOf(await withFile(rule(`allow: ${source}`)))
    expect(problems).toEqual([expect.stringMatching(reason)])
  })

  test('no problem quotes an address', async () => {
    const problems = problemsOf(await withFile(allow('emails: ["ada@example.com!"], users: [""]')))
    expect(problems.join()).not.toContain('ada@example.com!')
  })

  test('all, any and none are compiled eight deep, not nine deep, nor a hundred', async () => {
    const deep = (depth: number) =>
      allow(`${'none: [{ '.repeat(depth)}groups: [a]${' }]'.repeat(depth)}`)
    expect(problemsOf(await withFile(deep(8)))).toEqual([])
    for (const depth of [9, 100]) {
      expect(problemsOf(await withFile(deep(depth)))).toEqual([
        expect.stringMatching(
          /^VESTIBULE_CONFIG: rules\.0\.allow(?:\.none\.0){8}\.none: nests conditions more than 8 deep/,
        ),
      ])
    }
  })

  test.for(words`0123 1e3 1.0 1.50 0x1F 0o17 -0 +1 .5 True FALSE 9007199254740993`)(
    'a value %s in claims, whose text YAML changes, needs quotes',
    async (value) => {
      const texts = [
        allow(`claims: { a: ${value} }`),
        allow(`any: [{ claims: { a: [x, ${value}] } }]`),
        allow(`claims: { bearer: ${value} }`),
        `policies: { p: { claims: { a: ${value} } } }`,
      ]
      for (const text of texts) {
        expect(problemsOf(await withFile(text))).toEqual([
          expect.stringMatching(/claims\.\w+(?:\.1)?: is read as a number or .* put it in quotes/),
        ])
      }
      expect(problemsOf(await withFile(allow(`claims: { a: '${value}' }`)))).toEqual([])
      const token = rule(`bearer: { audiences: [a], claims: { a: ${value} } }`)
      expect(problemsOf(await withFile(token)), 'tokens as before').toEqual([])
    },
  )

  test.for([
    [allow('claims: { 010: x }'), 'rules.0.allow.claims.10'],
    ['policies: { 010: { groups: [a] } }', 'policies.10'],
    ['policies: { True: { groups: [a] } }', 'policies.true'],
  ])('a name in %s, whose text YAML changes, needs quotes', async ([yaml = '', place]) =>
    expect(problemsOf(await withFile(yaml))).toEqual([
      expect.stringContaining(`VESTIBULE_CONFIG: ${place}: is read as a number or `),
    ]),
  )

  test('other values may be written in each way of YAML', async () =>
    expect(problemsOf(await withFile(rule('report: True')))).toEqual([]))

  test('claims of tokens cannot name __proto__ either, which would be dropped', async () => {
    const problems = problemsOf(
      await withFile(rule('bearer: { audiences: [a], claims: { __proto__: [b] } }')),
    )
    expect(problems).toEqual([expect.stringMatching(/claims: has the key __proto__/)])
  })
})
