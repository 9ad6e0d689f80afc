import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createAccessFinder } from '../../src/core/access-rule.ts'
import { parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import { createSites } from '../../src/core/site.ts'
import { CLIENT_SECRET, base as minimum, problemsOf, useFolder } from '../support/configuration.ts'
import { forwarded, rawRequest } from '../support/raw-request.ts'

const base = { ...minimum, OIDC_CLIENT_SECRET: CLIENT_SECRET } as const
const { pathOf, write } = useFolder()
async function withFile(yaml: string, changes: Environment = {}): Promise<Environment> {
  return { ...base, ALLOW_ANY_USER: '', VESTIBULE_CONFIG: await write(yaml), ...changes }
}
function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

describe('the rules file', () => {
  const sites = createSites(loadConfig(base).hosts)
  const accessOf = (environment: Environment, path: string, method = 'GET') =>
    createAccessFinder(loadConfig(environment).rules)(
      parseForwardedRequest(
        rawRequest(forwarded({ 'X-Forwarded-Uri': path, 'X-Forwarded-Method': method })),
        sites,
      ),
    )
  const person = (groups: readonly string[], email?: string) => ({
    issuer: 'https://id.example.com',
    subject: 'u1',
    groups,
    claims: {},
    ...(email !== undefined && { email }),
  })

  test('its rules come first, then public paths, then everybody who is named', async () => {
    const environment = await withFile(
      `rules:
  - { paths: [/public/secret/**], access: deny }
  - { paths: [/api/**], methods: [GET], access: signed-in, groups: [readers], preflight: pass }
  - { paths: [/team/**], access: signed-in, emails: [Alice@Example.com], emailDomains: [Corp.example] }
`,
      { PUBLIC_PATHS: '/public/**', ALLOWED_GROUPS: 'admins' },
    )
    expect(accessOf(environment, '/public/a').kind).toBe('public')
    expect(accessOf(environment, '/public/secret/a').kind).toBe('deny')
    const api = accessOf(environment, '/api/a')
    expect(api.passesPreflight).toBe(true)
    expect(api.permits(person(['readers']))).toBe(true)
    expect(api.permits(person(['admins']))).toBe(false)
    expect(accessOf(environment, '/api/a', 'HEAD').permits(person(['readers']))).toBe(true)
    expect(accessOf(environment, '/api/a', 'POST').permits(person(['readers']))).toBe(false)
    expect(accessOf(environment, '/team/a').permits(person([], 'alice@example.com'))).toBe(true)
    expect(accessOf(environment, '/team/a').permits(person([], 'bob@corp.example'))).toBe(true)
    expect(accessOf(environment, '/').permits(person(['admins']))).toBe(true)
    expect(accessOf(environment, '/').permits(person(['readers']))).toBe(false)
  })

  test('public paths alone are enough, and nobody enters anything else', () => {
    const environment = { ...base, ALLOW_ANY_USER: '', PUBLIC_PATHS: '/public/**' }
    expect(accessOf(environment, '/public/a').kind).toBe('public')
    const rest = accessOf(environment, '/')
    expect(rest.kind).not.toBe('public')
    expect(rest.permits(person(['admins'], 'alice@example.com'))).toBe(false)
  })

  test('a rule may say that nobody passes it on the strength of what was known before an outage', async () => {
    const environment = await withFile(
      'rules: [{ paths: [/admin/**], access: signed-in, degraded: deny }, { access: signed-in }]',
    )
    expect(accessOf(environment, '/admin/a').deniesDegraded).toBe(true)
    expect(accessOf(environment, '/a').deniesDegraded).toBe(false)
  })

  test('a rule for HEAD is a rule for GET, whatever else it names', async () => {
    const environment = await withFile(
      'rules: [{ methods: [HEAD], access: signed-in, emailDomains: [example.com] }]',
    )
    expect(accessOf(environment, '/', 'GET').permits(person([], 'a@example.com'))).toBe(true)
    expect(accessOf(environment, '/', 'HEAD').permits(person([], 'a@example.com'))).toBe(true)
    expect(accessOf(environment, '/', 'POST').kind).toBe('deny')
  })

  test('rules alone are enough, and what they do not name is denied', async () => {
    const environment = await withFile('rules: [{ paths: [/a], access: signed-in }]')
    expect(accessOf(environment, '/a').kind).toBe('signed-in')
    expect(accessOf(environment, '/b').kind).toBe('deny')
  })

  test('its lists count where the environment has none; the environment wins over them', async () => {
    const yaml = `protectedHosts: [a.test, b.test]
publicPaths: [/open/**]
allowedEmails: [alice@example.com]
allowedEmailDomains: [example.com]
allowedGroups: [admins]
trustedProxies: [192.0.2.0/24]
`
    const fromFile = loadConfig(await withFile(yaml, { PROTECTED_HOSTS: '' }))
    expect(fromFile.settings).toMatchObject({
      PROTECTED_HOSTS: ['a.test', 'b.test'],
      PUBLIC_PATHS: ['/open/**'],
      ALLOWED_EMAILS: ['alice@example.com'],
      ALLOWED_EMAIL_DOMAINS: ['example.com'],
      ALLOWED_GROUPS: ['admins'],
      TRUSTED_PROXIES: ['192.0.2.0/24'],
    })
    const given = {
      PROTECTED_HOSTS: 'c.test',
      PUBLIC_PATHS: '/x',
      ALLOWED_EMAILS: 'bob@example.com',
      ALLOWED_EMAIL_DOMAINS: 'b.test',
      ALLOWED_GROUPS: 'ops',
      TRUSTED_PROXIES: '::1',
    }
    const { settings } = loadConfig(await withFile(yaml, given))
    for (const [name, value] of Object.entries(given)) {
      expect(settings[name as keyof typeof given], name).toEqual([value])
    }
  })

  test('an entry of a list is one entry, also with a comma in it', async () => {
    const { settings } = loadConfig(await withFile('allowedGroups: ["CN=admins,OU=staff"]'))
    expect(settings.ALLOWED_GROUPS).toEqual(['CN=admins,OU=staff'])
  })

  test('an empty file is a file without rules', async () => {
    const given = { ALLOWED_GROUPS: 'admins' }
    expect(problemsOf(await withFile('', given))).toEqual([])
    expect(problemsOf(await withFile('# nothing yet\n', given))).toEqual([])
  })

  test.for([
    ['an unknown key', 'rulez: []', /the file: Unrecognized key: "rulez"/],
    [
      'an unknown key of a rule',
      'rules: [{ access: deny, path: /a }]',
      /rules\.0: Unrecognized key: "path"/,
    ],
    ['a setting that belongs to the environment', 'PORT: 1', /Unrecognized key: "PORT"/],
    ['a rule without access', 'rules: [{ paths: [/a] }]', /rules\.0\.access/],
    ['an unknown access', 'rules: [{ access: allow }]', /rules\.0\.access/],
    ['a path that is no list', 'rules: [{ access: deny, paths: /a }]', /rules\.0\.paths/],
    ['an empty name', 'allowedGroups: [""]', /allowedGroups\.0/],
    ['a number for a name', 'allowedGroups: [7]', /allowedGroups\.0/],
    ['another preflight', 'rules: [{ access: deny, preflight: allow }]', /rules\.0\.preflight/],
    ['rules that are no list', 'rules: { access: deny }', /rules/],
    ['a text', 'just text', /the file/],
    ['no YAML', 'rules: [', /not YAML/],
    ['a key twice', 'rules: []\nrules: []', /not YAML/],
  ] as const)('%s is one problem', async ([, yaml, reason], { expect }) => {
    const problems = problemsOf(await withFile(yaml, { ALLOWED_GROUPS: 'admins' }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^VESTIBULE_CONFIG: /)
    expect(problems[0]).toMatch(reason)
  })

  test.for([
    ['a bad pattern', '{ access: deny, paths: [a] }', /rules\.0\.paths: a: .*starts with \//],
    [
      'a bad host',
      '{ access: deny, hosts: ["https://a/b"] }',
      /rules\.0\.hosts: https:\/\/a\/b is not a host/,
    ],
    [
      'a method in small letters',
      '{ access: deny, methods: [get] }',
      /rules\.0\.methods: write methods in capitals/,
    ],
    [
      'users of a public rule',
      '{ access: public, groups: [a] }',
      /rules\.0: .*belong to access: signed-in/,
    ],
    [
      'users of a deny rule',
      '{ access: deny, emails: [a@b.test] }',
      /rules\.0: .*belong to access: signed-in/,
    ],
    [
      'tokens on a public rule',
      '{ access: public, bearer: { audiences: [a] } }',
      /rules\.0\.bearer: belongs to access: signed-in/,
    ],
    [
      'one use without tokens',
      '{ access: signed-in, oneTime: true }',
      /rules\.0\.oneTime: belongs to a rule with bearer/,
    ],
    [
      'an issuer that is no address',
      '{ access: signed-in, bearer: { audiences: [a], issuers: [id] } }',
      /rules\.0\.bearer\.issuers: id: is not a URL/,
    ],
    [
      'an issuer by plain http',
      '{ access: signed-in, bearer: { audiences: [a], issuers: ["http://id.example.com"] } }',
      /rules\.0\.bearer\.issuers: .*http is for loopback/,
    ],
    [
      'two scopes in one text',
      '{ access: signed-in, bearer: { audiences: [a], scopes: [read write] } }',
      /rules\.0\.bearer\.scopes: read write is not one scope/,
    ],
    [
      'a scope that would end a challenge',
      `{ access: signed-in, bearer: { audiences: [a], scopes: ['a"b'] } }`,
      /rules\.0\.bearer\.scopes: a"b is not one scope/,
    ],
    [
      'our own client as the audience of plain JWTs',
      '{ access: signed-in, bearer: { audiences: [vestibule], tokenType: jwt } }',
      /rules\.0\.bearer\.audiences: vestibule is OIDC_CLIENT_ID/,
    ],
    [
      'an address that is none',
      '{ access: signed-in, emails: [alice] }',
      /rules\.0: alice is not an e-mail address/,
    ],
  ] as const)('%s is one problem of its rule', async ([, rule, reason], { expect }) => {
    const problems = problemsOf(await withFile(`rules: [${rule}]`))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(reason)
  })

  test('tokens are those of the provider unless the rule says otherwise', async () => {
    const { rules } = loadConfig(
      await withFile(
        'rules: [{ access: signed-in, bearer: { audiences: [api] }, degraded: deny }]',
      ),
    )
    expect(rules[0]).toMatchObject({
      bearer: {
        issuers: new Set(['https://id.example.com']),
        audiences: new Set(['api']),
        scopes: [],
        claims: new Map(),
        type: 'at+jwt',
      },
      isOneTime: false,
      deniesDegraded: true,
    })
  })

  test('a rule names issuers, scopes and the values that claims may have', async () => {
    const { rules } = loadConfig(
      await withFile(
        `rules:
          - access: signed-in
            oneTime: true
            bearer:
              issuers: [https://ci.example.com, http://127.0.0.1:9]
              audiences: [api]
              scopes: [read, write]
              claims: { tenant: [a, 42], trusted: true }
              tokenType: jwt`,
      ),
    )
    expect(rules[0]).toMatchObject({
      bearer: {
        issuers: new Set(['https://ci.example.com', 'http://127.0.0.1:9']),
        scopes: ['read', 'write'],
        claims: new Map([
          ['tenant', new Set(['a', '42'])],
          ['trusted', new Set(['true'])],
        ]),
        type: 'jwt',
      },
      isOneTime: true,
      deniesDegraded: false,
    })
  })

  test.for([
    ['no audience', 'bearer: {}', /rules\.0\.bearer\.audiences/],
    ['an empty list', 'bearer: { audiences: [] }', /rules\.0\.bearer\.audiences/],
    ['an unknown key', 'bearer: { audiences: [a], iss: b }', /Unrecognized key: "iss"/],
    ['another type', 'bearer: { audiences: [a], tokenType: id }', /rules\.0\.bearer\.tokenType/],
    ['no values', 'bearer: { audiences: [a], claims: { b: [] } }', /rules\.0\.bearer\.claims\.b/],
    ['no for once', 'bearer: { audiences: [a] }, oneTime: false', /rules\.0\.oneTime/],
    ['another degraded', 'degraded: allow', /rules\.0\.degraded/],
  ] as const)('what a rule asks of tokens is checked: %s', async ([, part, reason]) => {
    const problems = problemsOf(await withFile(`rules: [{ access: signed-in, ${part} }]`))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(reason)
  })

  test('an empty list of users is a problem of its rule, and never lets everybody in', async () => {
    for (const name of ['groups', 'emails', 'emailDomains']) {
      const problems = problemsOf(await withFile(`rules: [{ access: signed-in, ${name}: [] }]`))
      expect(problems, name).toEqual([expect.stringContaining(`rules.0.${name}`)])
    }
  })

  test('an empty list of conditions is a problem of its rule, which could never match', async () => {
    for (const name of ['paths', 'hosts', 'methods']) {
      const problems = problemsOf(await withFile(`rules: [{ access: deny, ${name}: [] }]`))
      expect(problems, name).toEqual([expect.stringContaining(`rules.0.${name}`)])
    }
  })

  test.for([
    ['an unknown key', 'protectedHosts: [a.test]\nallowedGroups: [a]\nrulez: []'],
    ['a key twice', 'protectedHosts: [a.test]\nrules: []\nrules: []'],
    ['no YAML', 'protectedHosts: [a.test]\nallowedGroups: ['],
  ] as const)('what else is in a file with %s is not said to be missing', async ([, yaml]) => {
    const problems = problemsOf(await withFile(yaml, { PROTECTED_HOSTS: '' }))
    expect(problems).toEqual([expect.stringMatching(/^VESTIBULE_CONFIG: /)])
  })

  test('a file that cannot be read is named', () => {
    const problems = problemsWith({ VESTIBULE_CONFIG: pathOf('nowhere.yaml') })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^VESTIBULE_CONFIG: .*nowhere\.yaml cannot be read \(ENOENT\)/)
  })

  test('problems of the file and of the environment are told together', async () => {
    const environment = await withFile('rules: [{ access: deny, paths: [a] }]', { PORT: 'x' })
    expect(problemsOf(environment).map((problem) => problem.split(':')[0])).toEqual([
      'PORT',
      'rules.0.paths',
    ])
  })
})
