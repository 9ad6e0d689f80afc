import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { V3_FATES } from '../../src/migrate/traefik-forward-auth/italypaleale/v3-options.ts'
import { V4_FATES } from '../../src/migrate/traefik-forward-auth/italypaleale/v4-options.ts'
import { FATES as V2_FATES } from '../../src/migrate/traefik-forward-auth/thomseddon/options.ts'
import { FATES as PLUGIN_FATES } from '../../src/migrate/traefikoidc/options.ts'
import { type MigrationInput, useMigration } from '../support/migration.ts'

const tfa = useMigration('traefik-forward-auth')
const plugin = useMigration('traefikoidc')

const V2 =
  'DEFAULT_PROVIDER=oidc\nPROVIDERS_OIDC_ISSUER_URL=https://id.example.com\nPROVIDERS_OIDC_CLIENT_ID=a\nPROVIDERS_OIDC_CLIENT_SECRET=b\nSECRET=c\n'
const V3 =
  'TFA_HOSTNAME=auth.example.com\nTFA_COOKIEDOMAIN=example.com\nTFA_AUTHPROVIDER=google\nTFA_AUTHGOOGLE_CLIENTID=a\nTFA_AUTHGOOGLE_CLIENTSECRET=b\n'
const v4 = (more: string, provider = 'google') =>
  `server: { domains: [{ domain: example.com }] }\nportals:\n  - { name: main, providers: [{ ${provider}: { clientID: a, clientSecret: b } }], ${more} }\n`
const oidc = (more: string, name = 'oidc', client = 'a') =>
  `http: { middlewares: { ${name}: { plugin: { x: { providerURL: 'https://id.example.com', clientID: ${client}, clientSecret: b, callbackURL: /oauth2/callback, ${more} } } } }, routers: { ${name}: { rule: 'Host(\`${name}.example.com\`)', middlewares: [${name}] } } }\n`

/** Gives every option a value that its kind may have. */
function everyOption(names: readonly string[]): object {
  const root: Record<string, unknown> = {}
  for (const name of names) {
    const steps = name.split('.')
    let node = root
    for (const step of steps.slice(0, -1)) node = (node[step] ??= {}) as Record<string, unknown>
    node[steps.at(-1) ?? ''] = 'true'
  }
  return root
}

test('each option of version 2 that is given has a line', async () => {
  const flags = Object.keys(V2_FATES)
    .filter((name) => name !== 'config')
    .map((name) => `--${name}=${name.includes('domain') ? 'example.com' : 'true'}`)
  const { read } = await tfa.run({ flags })
  const page = read('MIGRATION.md')
  for (const name of Object.keys(V2_FATES).filter((each) => each !== 'config'))
    expect(page).toContain(`* \`${name}\`: `)
})

test('each option of version 3 that is given has a line', async () => {
  const env = Object.keys(V3_FATES)
    .filter((name) => name !== 'authProvider')
    .map((name) => `TFA_${name.toUpperCase()}=example.com\n`)
    .join('')
  const { read } = await tfa.run({ env: `${env}TFA_AUTHPROVIDER=oidc\n` })
  for (const name of Object.keys(V3_FATES))
    expect(read('MIGRATION.md')).toContain(`* \`${name}\`: `)
})

test('each option of version 4 that is given has a line', async () => {
  const { portals, server, ...rest } = everyOption(Object.keys(V4_FATES)) as Record<string, object>
  const { providers, headers, ...portal } = portals as Record<string, object>
  const document = {
    ...rest,
    server: { ...server, domains: [{ domain: 'example.com', authHost: 'auth.example.com' }] },
    portals: [{ ...portal, name: 'main', headers: [headers], providers: [providers] }],
  }
  const { read } = await tfa.run({ config: stringify(document) })
  for (const name of Object.keys(V4_FATES))
    expect(read('MIGRATION.md')).toContain(`* \`${name}\`: `)
})

test('each option of the plugin that is given has a line', async () => {
  const { headers, ...options } = everyOption(Object.keys(PLUGIN_FATES)) as Record<string, object>
  const given = { ...options, headers: [headers], providerURL: 'https://id.example.com' }
  const config = JSON.stringify({ http: { middlewares: { oidc: { plugin: { x: given } } } } })
  const { read } = await plugin.run({ config })
  for (const name of Object.keys(PLUGIN_FATES))
    expect(read('MIGRATION.md')).toContain(`* \`${name}\`: `)
})

test.for<readonly [name: string, input: MigrationInput, told: RegExp, isPlugin?: true]>([
  [
    'flag',
    { flags: ['--whitelst=a'] },
    /whitelst: is no option of this service: whitelist may be meant/,
  ],
  ['variable', { env: 'WHITELISTS=a\n' }, /WHITELISTS: .* WHITELIST may be meant/],
  ['param', { flags: ['--rule.a.groups=x'] }, /rule\.a\.groups: is no parameter/],
  ['TFA_', { env: `${V3}TFA_HOSTNAM=a\n` }, /TFA_HOSTNAM: is no option/],
  ['flags of v3', { env: V3, flags: ['--x'] }, /take no flags/],
  ['provider of v3', { env: 'TFA_AUTHPROVIDER=x\n' }, /authProvider: names no provider/],
  [
    'v4',
    { config: v4('sesionLifetime: 1h') },
    /portals\.sesionLifetime: .*: portals\.sessionLifetime may be meant/,
  ],
  ['YAML', { config: 'portals: [\nsecret: hush' }, /is no YAML, at line/],
  ['file of Traefik', { env: V2, flags: ['nowhere.yaml'] }, /nowhere\.yaml cannot be read/],
  ['no file', {}, /--config is needed/, true],
  ['no plugin', { config: 'http: {}' }, /has no middleware of the plugin/, true],
  [
    'option',
    { config: oidc('sessionMaxAg: 1') },
    /oidc: sessionMaxAg: .*: sessionMaxAge may be meant/,
    true,
  ],
])('refuses $0 that cannot be used', async ([, input, told, isPlugin]) => {
  const { code, output, out } = await (isPlugin ? plugin : tfa).run(input)
  expect([code, existsSync(out)]).toEqual([1, false])
  expect(output).toMatch(told)
  expect(output).not.toContain('hush')
})

const rule = (text: string) => ({
  env: `${V2}COOKIE_DOMAIN=example.com\n`,
  flags: [`--rule.a.rule=${text}`, '--rule.a.action=allow'],
})
const admin = (text: string, ...more: readonly string[]) => ({
  env: `${V2}COOKIE_DOMAIN=example.com\n`,
  flags: [`--rule.a.rule=${text}`, '--rule.a.whitelist=a@example.com', ...more],
})
test.for<readonly [input: MigrationInput, todo: RegExp, isPlugin?: true]>([
  [{ env: V2 }, /PROTECTED_HOSTS: Name the hosts/],
  [{ env: `${V2}WHITELIST=\nCOOKIE_DOMAIN=example.com\n` }, /whitelist: Is given and names nobody/],
  [
    { env: 'DEFAULT_PROVIDER=generic-oauth\nCOOKIE_DOMAIN=example.com\n' },
    /generic-oauth is no OpenID Connect/,
  ],
  [
    {
      env: 'PROVIDERS_GOOGLE_CLIENT_ID=a\nPROVIDERS_GOOGLE_CLIENT_SECRET=${X}\nCOOKIE_DOMAIN=example.com\n',
    },
    /client-secret: Write the client secret/,
  ],
  [rule('Headers(`a`, `b`)'), /rule\.a: Headers has no counterpart in a public rule/],
  [rule('Path(`/a`) && !Method(`GET`)'), /rule\.a: ! has no counterpart/],
  [rule('Path(`/{x}`)'), /rule\.a: Path has no counterpart/],
  [rule('Host(`a'), /rule\.a: Cannot be read/],
  [admin('PathPrefix(`/admin`)'), /rule\.a: Whole segments count here: .* \/admin2/],
  [admin('Path(`/a`) && Query(`a=b`)'), /rule\.a: Query has no counterpart/],
  [admin('Path(`/a`)', '--rule.a.provider=google'), /another provider \(google\)/],
  [{ config: v4('sessionLifetime: 1h') }, /\?if=: Conditions stand in/],
  [{ config: v4('sessionLifetime: 1h', 'github') }, /github: Is no OpenID Connect/],
  [{ config: oidc('excludedURLs: ["/a;b"]') }, /\/a;b cannot be written/, true],
  [
    { config: oidc('redis: { enabled: true, address: "a:1", password: "urn:k8s:secret:a:b:c" }') },
    /redis\.password: Is kept elsewhere/,
    true,
  ],
  [
    { config: oidc('dynamicClientRegistration: { enabled: true }') },
    /dynamicClientRegistration\.enabled: Register/,
    true,
  ],
  [
    { config: oidc('userIdentifierClaim: sub, allowedUserDomains: [example.com]') },
    /Domains count for .* email alone/,
    true,
  ],
  [
    { config: oidc('headers: [{ name: X-A, value: "{{default .x .Claims.a}}" }]') },
    /headers: X-A: This template/,
    true,
  ],
  [
    { config: oidc('headers: [{ name: X-Forwarded-Host, value: "{{.Claims.a}}" }]') },
    /headers: X-Forwarded-Host: The name/,
    true,
  ],
])('asks for what is to be done: $1', async ([input, todo, isPlugin]) => {
  const { code, output } = await (isPlugin ? plugin : tfa).run(input)
  expect(code).toBe(1)
  expect(output).toMatch(todo)
})

const CONDITIONS: readonly (readonly [condition: string, policy: unknown])[] = [
  [
    'Group("a") || Group("b") || Role("c")',
    { any: [{ groups: ['a'] }, { groups: ['b'] }, { claims: { roles: ['c'] } }] },
  ],
  [
    '(Eq("id","a") || Eq("email","b@example.com")) && EmailVerified()',
    {
      all: [
        { any: [{ users: ['a'] }, { emails: ['b@example.com'] }] },
        { claims: { email_verified: [true] } },
      ],
    },
  ],
  ['!ClaimContains("groups", "x")', { none: [{ groups: ['x'] }] }],
  ['Eq("hd", 3)', { claims: { hd: ['3'] } }],
]
test('conditions of version 4 are policies', async () => {
  const middlewares = CONDITIONS.map(
    ([condition], at) =>
      `    p${at}: { forwardAuth: { address: 'http://t/portals/main?if=${encodeURIComponent(condition)}' } }\n`,
  )
  const file = await tfa.write('t.yaml', `http:\n  middlewares:\n${middlewares.join('')}`)
  const { code, config } = await tfa.run({ config: v4('sessionLifetime: 1h'), flags: [file] })
  expect([code, config()['policies']]).toEqual([
    0,
    Object.fromEntries(CONDITIONS.map(([, policy], at) => [`p${at}`, policy])),
  ])
  expect(config().rules).toEqual([
    {
      name: 'signed-in',
      access: 'signed-in',
      allow: { any: CONDITIONS.map(([, policy]) => policy) },
    },
  ])
})

const NOBODY = { all: [{ users: ['nobody'] }, { none: [{ users: ['nobody'] }] }] }

test.for([
  'Eq("groups","a")',
  'Eq("tid","a")',
  'Cont("department","a")',
  '!Cont("name","a")',
  '!Role("a")',
  'Group(" a")',
  'Group(a)',
  'Group("\\x41")',
])('a condition without counterpart lets nobody in: $0', async (condition) => {
  const address = `http://t/portals/main?if=${encodeURIComponent(condition)}`
  const text = `http: { middlewares: { strip: { forwardAuth: { address: '${address}' } } } }`
  const { code, config, output } = await tfa.run({
    config: v4('sessionLifetime: 1h'),
    flags: [await tfa.write('t.yaml', text)],
  })
  expect([code, config()['policies']]).toEqual([1, { 'strip-2': NOBODY }])
  expect(output).toMatch(/strip\?if=: Has no counterpart/)
})

test.for([
  '{ forwardAuth: { address: "http://t/portals/other" } }',
  '{ headers: { customRequestHeaders: { X-Forward-Auth-If: a } } }, q: { forwardAuth: { address: "http://t/portals/main" } }',
])('a portal whose conditions are not known lets nobody in: $0', async (middleware) => {
  const file = await tfa.write('t.yaml', `http: { middlewares: { p: ${middleware} } }`)
  const { code, config } = await tfa.run({ config: v4('sessionLifetime: 1h'), flags: [file] })
  expect([code, config().rules]).toEqual([1, [{ name: 'signed-in', access: 'deny' }]])
})

test.for<readonly [options: string, allow: unknown]>([
  ["allowedUsers: ['']", NOBODY],
  ["allowedRolesAndGroups: ' a'", NOBODY],
  ["allowedUserDomains: ['*', example.com]", { emailDomains: ['example.com'] }],
  ['<<: { allowedUsers: a@example.com }', { emails: ['a@example.com'] }],
])('the plugin lets in whom its lists name: $0', async ([options, allow]) => {
  const { config } = await plugin.run({ config: oidc(options) })
  expect(config().rules.at(-1)).toMatchObject({ allow })
})

test('an empty list of version 3 lets nobody in', async () => {
  const { code, config } = await tfa.run({
    config: "authGoogle_allowedUsers: ['']\nhostname:",
    env: V3,
  })
  expect([code, config().rules[0]]).toMatchObject([1, { allow: NOBODY }])
})

test('a dot belongs to the name of the claim of the groups', async () => {
  const { config } = await plugin.run({ config: oidc('groupClaimName: realm.groups') })
  expect(config()['oidc']).toMatchObject({ groupsClaim: 'realm\\.groups' })
})

test('middlewares of one name have a policy each, which none of another shares', async () => {
  const object = (namespace: string, user: string, more = '') =>
    `apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: { name: strip, namespace: ${namespace} }\nspec: { plugin: { x: { providerURL: 'https://id.example.com', clientID: a, clientSecret: b, callbackURL: /oauth2/callback, allowedUsers: ${user}@example.com, allowedRolesAndGroups: x${more} } } }\n`
  const { config } = await plugin.run({
    config: [object('a', 'ann'), object('b', 'bob', ', groupClaimName: teams')].join('---\n'),
  })
  expect(config()['policies']).toMatchObject({
    'a-strip': { all: [{ emails: ['ann@example.com'] }, {}] },
    'b-strip': { all: [{ emails: ['bob@example.com'] }, NOBODY] },
  })
})

test('several domains are installations of their own', async () => {
  const { code, read } = await tfa.run({
    env: `${V2}COOKIE_DOMAIN=example.com,example.org\nAUTH_HOST=auth.example.org\n`,
  })
  expect(code).toBe(0)
  expect(read('example-com/vestibule.yaml')).not.toContain('publicUrl')
  expect(read('example-org/vestibule.yaml')).toContain('publicUrl: https://auth.example.org')
})

test('several clients of the plugin are installations of their own, in Traefik too', async () => {
  const [one, other] = [
    oidc('cookieDomain: .example.com', 'one'),
    oidc('scopes: [x]', 'other', 'c'),
  ]
  const { code, read } = await plugin.run({
    config: one,
    flags: [await plugin.write('b.yaml', other)],
  })
  expect(code).toBe(0)
  expect(read('one/vestibule.yaml')).toMatch(/domain: example\.com/)
  expect(read('other/vestibule.yaml')).toMatch(/scopes: openid profile email x/)
  expect(read('other/traefik/vestibule.yaml')).toContain('protected-other:')
})

test.for<readonly [name: string, config: string]>([
  [
    'labels',
    "services: { app: { labels: ['traefik.http.middlewares.oidc.plugin.x.providerURL=https://id.example.com', 'traefik.http.middlewares.oidc.plugin.x.clientID=a', 'traefik.http.middlewares.oidc.plugin.x.clientSecret=b', 'traefik.http.middlewares.oidc.plugin.x.allowedUsers[0]=a@example.com', 'traefik.http.routers.r.rule=Host(`app.example.com`)', 'traefik.http.routers.r.middlewares=c', 'traefik.http.middlewares.c.chain.middlewares=oidc'] } }",
  ],
  [
    'TOML',
    '[http.middlewares.oidc.plugin.x]\nproviderURL = "https://id.example.com"\nclientID = "a"\nclientSecret = "b"\nallowedUsers = ["a@example.com"]\n[http.routers.r]\nrule = "Host(`app.example.com`)"\nmiddlewares = ["oidc"]\n',
  ],
])('reads $0 of Traefik', async ([name, config]) => {
  const file = await plugin.write(name === 'TOML' ? 'a.toml' : 'a.yaml', config)
  const { code, config: written } = await plugin.runIn(['--config', file], [])
  expect([code, written()['protectedHosts']]).toEqual([0, ['app.example.com']])
  expect(written().rules.at(-1)).toMatchObject({
    access: 'signed-in',
    allow: { emails: ['a@example.com'] },
  })
})

test('the later of flag and file counts, lists are joined, and a variable counts last', async () => {
  const file = 'lifetime = 100\nwhitelist = a@example.com\ncookie-domain = example.com\n'
  const { config } = await tfa.run({
    config: file,
    env: `${V2}LIFETIME=200\nWHITELIST=c@example.com\n`,
    flags: ['--lifetime=300', '--whitelist', 'b@example.com'],
  })
  expect(config()['session']).toMatchObject({ maxAge: 100 })
  expect(config().rules.at(-1)).toMatchObject({ emails: ['b@example.com', 'a@example.com'] })
})

test('where rules overlap, those with lists stand first and public ones last', async () => {
  const { config } = await tfa.run({
    env: `${V2}COOKIE_DOMAIN=example.com\n`,
    flags: [
      '--rule.a.action=allow',
      '--rule.a.rule=PathPrefix(`/a`)',
      '--rule.b.rule=Path(`/a/b/c`)',
      '--rule.c.rule=Path(`/a/b`)',
      '--rule.c.whitelist=cat@example.net',
    ],
  })
  const names = config().rules.map(({ name }) => name)
  expect(names).toEqual(['rule.c', 'rule.b', 'rule.a', 'default-action'])
})

const ALLOW = '--default-action=allow'
const ANN = '--rule.a.whitelist=ann@example.com'
const named = ({ name, access, paths, emails }: Readonly<Record<string, unknown>>) =>
  [name, access, ...[paths, emails].flat()]
    .flatMap((each) => (typeof each === 'string' ? each : []))
    .join(' ')

test.for<readonly [flags: readonly string[], rules: readonly string[]]>([
  [['--rule.a.action=allow', '--rule.a.rule=Host(`*.example.com`)'], ['default-action signed-in']],
  [
    ['--rule.a.action=allow', '--rule.a.rule=Path(`a`) || Path(`/b`)'],
    ['default-action signed-in'],
  ],
  [
    ['--rule.a.action=allow', '--rule.a.rule=!Header(`a`, `b`) || Path(`/b`)'],
    ['default-action signed-in'],
  ],
  [
    ['--rule.a.rule=Path(`/b`) && Headers(`a`, `b`)', ANN],
    ['rule.a deny /b', 'default-action signed-in'],
  ],
  [
    [ALLOW, '--rule.a.rule=PathPrefix(`/x/wp-`)'],
    ['rule.a signed-in /x/wp-/**', 'rule.a: other paths deny /x/*/**', 'default-action public'],
  ],
  [
    [ALLOW, '--rule.b.rule=Query(`a=b`)', '--rule.a.rule=PathPrefix(`/b`) && !Path(`/c`)', ANN],
    [
      'rule.a: other paths deny /*/**',
      'rule.a deny /b/**',
      'rule.b signed-in',
      'default-action public',
    ],
  ],
  [
    ['--rule.a.rule=Path(`/b`) || Path(`/c`)', ANN],
    [
      'rule.a signed-in /b ann@example.com',
      'rule.a-2 signed-in /c ann@example.com',
      'default-action signed-in',
    ],
  ],
  [
    ['--rule.a.rule=PathPrefix(`/b/`)', ANN],
    ['rule.a signed-in /b/ /b/*/** ann@example.com', 'default-action signed-in'],
  ],
  [['--rule.b.rule=Query(`a=b`)'], ['default-action signed-in']],
  [
    ['--whitelist=ann@example.com, bob@example.com,*'],
    ['default-action signed-in ann@example.com'],
  ],
])('nobody enters by a rule whom the old service kept out: $0', async ([flags, rules]) => {
  const { config } = await tfa.run({ env: `${V2}COOKIE_DOMAIN=example.com\n`, flags })
  expect(config().rules.map(named)).toEqual(rules)
})
