import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createAccessFinder } from '../../src/core/access/access-finder.ts'
import { parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import { createSites } from '../../src/core/site.ts'
import {
  confidential as base,
  problemRows,
  problemsOf,
  useFolder,
} from '../support/configuration.ts'
import { forwarded, sentHeaders } from '../support/raw-request.ts'
import { signedIn } from '../support/signed-in.ts'

const { pathOf, write } = useFolder()
async function withFile(yaml: string, changes: Environment = {}): Promise<Environment> {
  return { ...base, ALLOW_ANY_USER: '', VESTIBULE_CONFIG: await write(yaml), ...changes }
}

const rulesOf = (environment: Environment) => loadConfig(environment).rules

describe('the rules file', () => {
  const sites = createSites(loadConfig(base).hosts)
  const accessOf = (environment: Environment, path: string, method = 'GET') =>
    createAccessFinder(loadConfig(environment).rules.rules)(
      parseForwardedRequest(
        sentHeaders(forwarded({ 'X-Forwarded-Uri': path, 'X-Forwarded-Method': method })),
        sites,
      ),
    )
  const signedInTo = (...given: Parameters<typeof accessOf>) => signedIn(accessOf(...given))
  const person = (groups: readonly string[], email?: string) => ({
    identity: {
      issuer: 'https://id.example.com',
      subject: 'u1',
      groups,
      claims: {},
      ...(email !== undefined && { email }),
    },
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
    const at = (path: string, method?: string) => accessOf(environment, path, method)
    expect([at('/public/a').kind, at('/public/secret/a').kind]).toEqual(['public', 'deny'])
    expect(signedIn(at('/api/a')).passesPreflight).toBe(true)
    const permits = (path: string, groups: readonly string[], method?: string, email?: string) =>
      signedIn(at(path, method)).permits(person(groups, email))
    expect([permits('/api/a', ['readers']), permits('/api/a', ['admins'])]).toEqual([true, false])
    expect(permits('/api/a', ['readers'], 'HEAD')).toBe(true)
    expect(permits('/api/a', ['readers'], 'POST')).toBe(false)
    expect(permits('/team/a', [], 'GET', 'alice@example.com')).toBe(true)
    expect(permits('/team/a', [], 'GET', 'bob@corp.example')).toBe(true)
    expect([permits('/', ['admins']), permits('/', ['readers'])]).toEqual([true, false])
  })

  test('public paths alone are enough, and nobody enters anything else', () => {
    const environment = { ...base, ALLOW_ANY_USER: '', PUBLIC_PATHS: '/public/**' }
    expect(accessOf(environment, '/public/a').kind).toBe('public')
    expect(accessOf(environment, '/').kind).toBe('deny')
  })

  test('a rule may say that nobody passes it on the strength of what was known before an outage', async () => {
    const environment = await withFile(
      'rules: [{ paths: [/admin/**], access: signed-in, degraded: deny }, { access: signed-in }]',
    )
    const denies = (path: string) => signedInTo(environment, path).deniesDegraded
    expect([denies('/admin/a'), denies('/a')]).toEqual([true, false])
  })

  test('a rule for HEAD is a rule for GET, whatever else it names', async () => {
    const environment = await withFile(
      'rules: [{ methods: [HEAD], access: signed-in, emailDomains: [example.com] }]',
    )
    expect(signedInTo(environment, '/', 'GET').permits(person([], 'a@example.com'))).toBe(true)
    expect(signedInTo(environment, '/', 'HEAD').permits(person([], 'a@example.com'))).toBe(true)
    expect(accessOf(environment, '/', 'POST').kind).toBe('deny')
  })

  test('a rule may name methods that no standard names (C41)', async () => {
    const environment = await withFile(
      'rules: [{ methods: [VERSION-CONTROL, RPC_IN_DATA, M2], access: signed-in }]',
    )
    for (const method of ['VERSION-CONTROL', 'RPC_IN_DATA', 'M2'])
      expect(accessOf(environment, '/', method).kind).toBe('signed-in')
    expect(accessOf(environment, '/', 'RPC_OUT_DATA').kind).toBe('deny')
  })

  test('rules alone are enough, and what they do not name is denied', async () => {
    const environment = await withFile('rules: [{ paths: [/a], access: signed-in }]')
    expect(accessOf(environment, '/a').kind).toBe('signed-in')
    expect(accessOf(environment, '/b').kind).toBe('deny')
  })

  test('its lists count where the environment has none; the environment wins over them', async () => {
    const lists = [
      ['PROTECTED_HOSTS', 'protectedHosts', 'a.test, b.test', 'c.test'],
      ['PUBLIC_PATHS', 'publicPaths', '/open/**', '/x'],
      ['ALLOWED_EMAILS', 'allowedEmails', 'alice@example.com', 'bob@example.com'],
      ['ALLOWED_EMAIL_DOMAINS', 'allowedEmailDomains', 'example.com', 'b.test'],
      ['ALLOWED_GROUPS', 'allowedGroups', 'admins', 'ops'],
      ['TRUSTED_PROXIES', 'trustedProxies', '192.0.2.0/24', '::1'],
    ] as const
    const yaml = lists.map(([, key, value]) => `${key}: [${value}]\n`).join('')
    const given = Object.fromEntries(lists.map(([name, , , value]) => [name, value]))
    const fromFile = loadConfig(await withFile(yaml, { PROTECTED_HOSTS: '' })).settings
    const { settings } = loadConfig(await withFile(yaml, given))
    for (const [name, , inFile, inEnvironment] of lists)
      expect([fromFile[name], settings[name]]).toEqual([inFile.split(', '), [inEnvironment]])
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

  test.for(problemRows`
    rulez: []
    the file: Unrecognized key: "rulez"
    rules: [{ access: deny, path: /a }]
    rules\.0: Unrecognized key: "path"
    PORT: 1
    Unrecognized key: "PORT"
    rules: [{ paths: [/a] }]
    rules\.0\.access
    rules: [{ access: allow }]
    rules\.0\.access
    rules: [{ access: deny, paths: /a }]
    rules\.0\.paths
    allowedGroups: [""]
    allowedGroups\.0
    allowedGroups: [7]
    allowedGroups\.0
    rules: [{ access: deny, preflight: allow }]
    rules\.0\.preflight
    rules: { access: deny }
    rules
    just text
    the file
    rules: [
    not YAML
    rules: []; rules: []
    not YAML
  `)('%s is the problem %s of the file', async ([yaml, reason]) => {
    const file = yaml.replace('; ', '\n')
    const problems = problemsOf(await withFile(file, { ALLOWED_GROUPS: 'admins' }))
    expect(problems).toEqual([expect.stringMatching(/^VESTIBULE_CONFIG: /)])
    expect(problems[0]).toMatch(reason)
  })

  test.for(problemRows`
    access: deny, paths: [a]
    ^rules\.0\.paths: a: .*starts with /
    access: deny, hosts: ["https://a/b"]
    ^rules\.0\.hosts: https://a/b is not a host
    access: deny, methods: [get]
    ^rules\.0\.methods: write methods in capitals
    access: public, groups: [a]
    ^rules\.0: .*belong to access: signed-in
    access: deny, emails: [a@b.test]
    ^rules\.0: .*belong to access: signed-in
    access: public, bearer: { audiences: [a] }
    ^rules\.0\.bearer: belongs to access: signed-in
    access: signed-in, oneTime: true
    ^rules\.0\.oneTime: belongs to a rule with bearer
    access: signed-in, bearer: { audiences: [a], issuers: [id] }
    ^rules\.0\.bearer\.issuers: id: is not a URL
    access: signed-in, bearer: { audiences: [a], issuers: ["http://id.example.com"] }
    ^rules\.0\.bearer\.issuers: .*http is for loopback
    access: signed-in, bearer: { audiences: [a], scopes: [read write] }
    ^rules\.0\.bearer\.scopes: read write is not one scope
    access: signed-in, bearer: { audiences: [a], scopes: ['a"b'] }
    ^rules\.0\.bearer\.scopes: a"b is not one scope
    access: signed-in, bearer: { audiences: [vestibule], tokenType: jwt }
    ^rules\.0\.bearer\.audiences: vestibule is OIDC_CLIENT_ID
    access: signed-in, emails: [alice]
    ^rules\.0\.emails\.0: is not an e-mail address: write ada@example\.com, in ASCII$
    access: signed-in, bearer: {}
    rules\.0\.bearer\.audiences
    access: signed-in, bearer: { audiences: [] }
    rules\.0\.bearer\.audiences
    access: signed-in, bearer: { audiences: [a], iss: b }
    Unrecognized key: "iss"
    access: signed-in, bearer: { audiences: [a], tokenType: id }
    rules\.0\.bearer\.tokenType
    access: signed-in, bearer: { audiences: [a], claims: { b: [] } }
    rules\.0\.bearer\.claims\.b
    access: signed-in, bearer: { audiences: [a] }, oneTime: false
    rules\.0\.oneTime
    access: signed-in, degraded: allow
    rules\.0\.degraded
    access: signed-in, groups: []
    rules\.0\.groups
    access: signed-in, emails: []
    rules\.0\.emails
    access: signed-in, emailDomains: []
    rules\.0\.emailDomains
    access: deny, paths: []
    rules\.0\.paths
    access: deny, hosts: []
    rules\.0\.hosts
    access: deny, methods: []
    rules\.0\.methods
  `)('a rule with %s has the problem %s', async ([rule, reason]) => {
    const problems = problemsOf(await withFile(`rules: [{ ${rule} }]`))
    expect(problems).toEqual([expect.stringMatching(reason)])
  })

  test('tokens are those of the provider unless the rule says otherwise', async () => {
    const rule = '{ access: signed-in, bearer: { audiences: [api] }, degraded: deny }'
    const { rules } = rulesOf(await withFile(`rules: [${rule}]`))
    expect(rules[0]).toMatchObject({
      bearer: {
        requirement: {
          issuers: new Set(['https://id.example.com']),
          audiences: new Set(['api']),
          scopes: [],
          claims: new Map(),
          type: 'at+jwt',
        },
        isOneTime: false,
      },
      deniesDegraded: true,
    })
  })

  test('a rule names issuers, scopes and the values that claims may have', async () => {
    const { rules } = rulesOf(
      await withFile(
        `rules: [{ access: signed-in, oneTime: true, bearer: {
          issuers: [https://ci.example.com, http://127.0.0.1:9], audiences: [api],
          scopes: [read, write], claims: { tenant: [a, 42], trusted: true }, tokenType: jwt } }]`,
      ),
    )
    expect(rules[0]).toMatchObject({
      bearer: {
        requirement: {
          issuers: new Set(['https://ci.example.com', 'http://127.0.0.1:9']),
          scopes: ['read', 'write'],
          claims: new Map([
            ['tenant', new Set(['a', '42'])],
            ['trusted', new Set(['true'])],
          ]),
          type: 'jwt',
        },
        isOneTime: true,
      },
      deniesDegraded: false,
    })
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
    expect(problemsOf({ ...base, VESTIBULE_CONFIG: pathOf('nowhere.yaml') })).toEqual([
      expect.stringMatching(/^VESTIBULE_CONFIG: .*nowhere\.yaml cannot be read \(ENOENT\)/),
    ])
  })

  test('problems of the file and of the environment are told together', async () => {
    const environment = await withFile('rules: [{ access: deny, paths: [a] }]', { PORT: 'x' })
    expect(problemsOf(environment).map((problem) => problem.split(':')[0])).toEqual([
      'PORT',
      'rules.0.paths',
    ])
  })
})
