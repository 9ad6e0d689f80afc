import { describe, expect, test } from 'vitest'
import { problemRows, problemsOf, useSettingsFile } from '../support/configuration.ts'

const { withFile, rulesOf } = useSettingsFile()
const rule = (text: string) => `rules: [{ access: signed-in, ${text} }]`

describe('policies', () => {
  const POLICIES =
    'policies: { admins: { groups: [admins] }, 7.a-b_c: { claims: { role: [x] } } }\n'

  test('are compiled whether a rule names them or not', async () => {
    const { rules, policies, claims } = await rulesOf(
      POLICIES + rule('policy: admins, allow: { claims: { dept: [a] } }'),
    )
    expect([...policies.keys()]).toEqual(['admins', '7.a-b_c'])
    const admins = policies.get('admins')
    expect(rules[0]).toMatchObject({
      conditions: [{ condition: { kind: 'claim' } }, { condition: admins, policy: 'admins' }],
    })
    expect(claims).toEqual(['role', 'dept'])
  })

  test('and rules name the claims that sessions must keep, at any depth and each once', async () => {
    const { claims } =
      await rulesOf(`policies: { p: { none: [{ any: [{ claims: { a.b: [x], sub: [y] } }] }] } }
rules: [{ access: signed-in, report: true, allow: { claims: { a.b: [z], c: [w], name: [v], groups: [u] } } }]`)
    expect(claims).toEqual(['a.b', 'c'])
  })

  test.for(problemRows`
    policies: []
    ^VESTIBULE_CONFIG: policies: is not a map such as policies: \{
    policies: { a b: { groups: [x] } }
    ^VESTIBULE_CONFIG: policies\.a b: is not a name of 1 to 64 letters
    policies: { "-a": { groups: [x] } }
    ^VESTIBULE_CONFIG: policies\.-a: is not a name
    policies: { "a\nb": { groups: [x] } }
    ^VESTIBULE_CONFIG: policies\.…: is not a name
    policies: { __proto__: { groups: [x] } }
    ^VESTIBULE_CONFIG: policies: has the key __proto__
    policies: { a: {} }
    ^VESTIBULE_CONFIG: policies\.a: is an empty map
    policies: { a: { networks: [x] } }
    ^policies\.a\.networks\.0: is not a network
    polices: {}
    the file: Unrecognized key: "polices"; is policies meant\?
    policies: { admins: { groups: [x] } }; rules: [{ access: signed-in, policy: admin }]
    ^rules\.0\.policy: policies has no such name: is admins meant\?$
    rules: [{ access: signed-in, policy: admins }]
    ^rules\.0\.policy: policies has no such name: write it there$
    policies: { a: { groups: [x] } }; rules: [{ access: signed-in, policy: [a] }]
    ^VESTIBULE_CONFIG: rules\.0\.policy: is not the name of one policy$
    policies: { a: { networks: [x] } }; rules: [{ access: signed-in, policy: a }]
    ^policies\.a\.networks\.0: is not a network
    policies: { a: { groups: [x] } }; rules: [{ access: signed-in, policy: __proto__ }]
    ^rules\.0\.policy: policies has no such name
  `)('%s is the problem %s', async ([yaml, reason]) => {
    const problems = problemsOf(await withFile(yaml.replace('; ', '\n')))
    expect(problems).toEqual([expect.stringMatching(reason)])
  })
})

describe('rules', () => {
  test.for(problemRows`
    access: optional, groups: [a]
    ^rules\.0: emails, emailDomains and groups belong to access: signed-in$
    access: public, allow: { groups: [a] }
    ^rules\.0\.allow: belongs to access: signed-in$
    access: deny, policy: a
    ^rules\.0\.policy: .*
    access: optional, allow: { groups: [a] }
    ^rules\.0\.allow: belongs to access: signed-in$
    access: optional, bearer: { audiences: [a] }
    ^rules\.0\.bearer: belongs to access: signed-in$
    access: public, report: true
    ^rules\.0\.report: belongs to access: signed-in or deny, because public refuses nobody$
    access: optional, report: true
    ^rules\.0\.report: belongs to access: signed-in or deny, because optional refuses nobody$
    access: deny, report: yes
    ^VESTIBULE_CONFIG: rules\.0\.report
    access: deny, name: "7"
    ^VESTIBULE_CONFIG: rules\.0\.name: is not a name: write one line
    access: deny, name: "a\nb"
    ^VESTIBULE_CONFIG: rules\.0\.name: is not a name
    access: deny, name: " a"
    ^VESTIBULE_CONFIG: rules\.0\.name: is not a name
    access: deny, name: "a\u202eb"
    ^VESTIBULE_CONFIG: rules\.0\.name: is not a name
    access: deny, name: ""
    ^VESTIBULE_CONFIG: rules\.0\.name: is not a name
    access: deny, name: 7
    ^VESTIBULE_CONFIG: rules\.0\.name: is not a text
    access: deny, name: a }, { access: deny, name: b }, { access: deny, name: a
    ^rules\.2\.name: is the name of rules\.0 too: give it another$
  `)('{ %s } has the problem %s', async ([source, reason]) => {
    const file = `policies: { a: { groups: [x] } }\nrules: [{ ${source} }]`
    expect(problemsOf(await withFile(file))).toEqual([expect.stringMatching(reason)])
  })

  test('have their names, else their positions, those of settings after those of the file', async () => {
    const yaml =
      'rules: [{ access: deny }, { access: deny, name: "Büro (2. Stock): build server" }, { access: deny }]'
    const { rules } = await rulesOf(yaml, { PUBLIC_PATHS: '/open' })
    expect(rules.map(({ name }) => name)).toEqual([
      '1',
      'Büro (2. Stock): build server',
      '3',
      '4',
      '5',
    ])
  })

  test('with report let nobody in', async () => {
    const reports = 'rules: [{ access: signed-in, report: true }, { access: deny, report: true }]'
    const nobody = { ALLOW_ANY_USER: '' }
    expect(problemsOf(await withFile(reports, nobody))).toEqual([
      expect.stringMatching(/^Nobody may enter: /),
    ])
    expect(problemsOf(await withFile(reports.replaceAll('true', 'false'), nobody))).toEqual([])
    expect(problemsOf(await withFile(reports, { ...nobody, PUBLIC_PATHS: '/open' }))).toEqual([])
    const { rules } = await rulesOf(reports)
    expect(rules.map(({ isReport }) => isReport)).toEqual([true, true, undefined])
  })

  test('with report accept no tokens of an issuer', async () => {
    const token = (issuer: string, report: boolean) =>
      `{ access: signed-in, report: ${report}, bearer: { audiences: [a], issuers: [${issuer}] } }`
    const { issuers } = await rulesOf(
      `rules: [${token('https://a.test', true)}, ${token('https://b.test', false)}]`,
    )
    expect([...issuers]).toEqual(['https://b.test'])
  })
})
