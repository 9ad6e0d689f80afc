import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { explain } from '../../src/commands/explain/explain.ts'
import { migrate } from '../../src/commands/migrate.ts'
import { OPTIONS } from '../../src/migrate/oauth2-proxy/known-options.ts'
import { writeInstallations } from '../../src/migrate/write-installations.ts'
import { runCommand } from '../support/command.ts'
import { useMigration } from '../support/migration.ts'
import { words } from '../support/words.ts'

const { run, runIn, pathOf, write } = useMigration('oauth2-proxy')

const BASE = [
  '--provider=oidc',
  '--oidc-issuer-url=https://id.example.com',
  '--client-id=old',
  '--client-secret=S3cret-of-client',
  '--email-domain=example.com',
  '--redirect-url=https://app.example.com/oauth2/callback',
  '--reverse-proxy',
]
const withBase = (...flags: string[]) => run({ flags: [...BASE, ...flags] })

const TENANT = '11111111-1111-1111-1111-111111111111'

/** Values that one kind of option takes; the others take any text. */
const SAMPLES: Readonly<Record<string, string>> = {
  'redis-connection-url': 'redis://redis:6379',
  'http-address': '0.0.0.0:4180',
  'redirect-url': 'https://app.example.com',
  provider: 'oidc',
  prompt: 'login',
  'azure-tenant': 'acme',
  'cookie-domain': 'example.com',
  'trusted-proxy-ip': '10.0.0.1/32',
}
const SAMPLE_OF = { flag: 'true', duration: '1h', number: '7', text: 'x', list: 'x' } as const

test('each option that oauth2-proxy has is told, and none twice in one way', async () => {
  const flags = [...OPTIONS].map(([name, kind]) => `--${name}=${SAMPLES[name] ?? SAMPLE_OF[kind]}`)
  const { code, output, read } = await run({ flags })
  expect([code, output]).toEqual([1, expect.stringContaining('to do: --')])
  const lines = read('MIGRATION.md')
    .split('\n')
    .filter((line) => line.startsWith('* `'))
  const untold = [...OPTIONS.keys()].filter(
    (name) => !lines.some((line) => line.startsWith(`* \`--${name}\`:`)),
  )
  expect(untold).toEqual([])
  expect(lines).toEqual([...new Set(lines)])
})

/** Rows of flags, YAML, and the line of the page that goes with them, with ` → ` between; `·` is a blank within a flag. */
function rows(table: string): [flags: string[], yaml: unknown, told: RegExp][] {
  return table
    .trim()
    .split(/\n\s*/)
    .map((line) => line.split(' → '))
    .map(([flags = '', yaml = '', told = '^']) => [
      flags.split(' ').map((flag) => flag.replaceAll('·', ' ')),
      parse(yaml),
      new RegExp(told),
    ])
}

test.for(
  rows(String.raw`
    --provider=github → null → names a provider without OpenID Connect
    -provider=oidc → null → begins with a single dash
    S3cret-of-client → null → belongs to no option
    --email-domains=x → null → --email-domains is no option of oauth2-proxy: --email-domain may be meant
    --clent-secret=S3cret-of-client → null → --clent-secret is no option of oauth2-proxy: --client-secret may be meant
    --client-id → null → --client-id has no value
    --reverse-proxy=S3cret-of-client --skip-auth-preflight=S3cret-of-client → null → --skip-auth-preflight is not true or false
    --cookie-expire=S3cret-of-client → null → --cookie-expire is not a duration such as 168h
    --config=x → null → --config is not an option to carry over: name the file before the --
    --session-store-type=redis --redis-connection-url=S3cret-of-client → null → --redis-connection-url has no addresses
    --session-store-type=redis --redis-connection-url=redis://:S3cret%zz@a → null → --redis-connection-url has no addresses
    --provider=entra-id --oidc-issuer-url=https://login.microsoftonline.com/${TENANT}/v2.0 --entra-id-allowed-tenant=${TENANT.replace('1', '2')} → null → --entra-id-allowed-tenant does not have the tenant`),
)('refuses %j with what is meant, and makes nothing', async ([flags, , told]) => {
  const { code, output, out } = await withBase(...flags)
  expect([code, output]).toEqual([1, expect.stringMatching(told)])
  expect(output).toMatch(/^(?:vestibule: [^\n]+\n)+$/)
  expect(output).not.toContain('S3cret')
  expect(existsSync(out)).toBe(false)
})

test.for<[string, RegExp]>([
  ['client_secret = "S3cret-of-client', /old\.config is not TOML, at line 1, column \d+/],
  ['clientsecret = "S3cret-of-client"', /clientsecret is no option .*client_secret may be meant/],
  ['email_domain = ["a.example"]', /email_domain is no option .*email_domains may be meant/],
  ['[provider]\nname = "S3cret-of-client"', /provider has no value of its kind/],
])('refuses the file %j without quoting it', async ([config, told]) => {
  const { code, output } = await run({ config })
  expect([code, output]).toEqual([1, expect.stringMatching(told)])
  expect(output).not.toContain('S3cret')
})

test.for<[string, RegExp]>([
  ['providers: [{ clientID: ${A:?S3cret} }]', /reference to a variable in a form/],
  ['providers: [{ secret: S3cret-of-client }]', /providers\[0\]\.secret is no member/],
  ['providers: [{ clientID: x ]', /alpha\.yaml is not YAML, at line 1/],
  [
    'upstreams: []',
    /the file is not as oauth2-proxy 7\.15\.3 has it \(unrecognized_keys: upstreams\)/,
  ],
])('refuses the alpha configuration %j without quoting it', async ([alpha, told]) => {
  const { code, output } = await run({ alpha, flags: ['--email-domain=*'] })
  expect([code, output]).toEqual([1, expect.stringMatching(told)])
  expect(output).not.toContain('S3cret')
})

test('beside an alpha configuration, options of its own are refused, and a variable without a value is to do', async () => {
  const alpha =
    'providers: [{ provider: oidc, clientID: x, scope: null, clientSecret: "${NOT_THERE}", oidcConfig: { issuerURL: https://id.example.com } }]'
  expect(await run({ alpha, flags: ['--scope=openid'] })).toMatchObject({
    code: 1,
    output: expect.stringContaining('--scope has no place beside an alpha configuration') as string,
  })
  const { code, output, read } = await run({
    alpha,
    flags: ['--email-domain=x.example', '--redirect-url=https://a.example'],
  })
  expect([code, output]).toEqual([
    1,
    expect.stringMatching(/to do: \$\{NOT_THERE\}[^]*to do: providers\[0\]\.clientSecret/),
  ])
  expect(read('secrets/oidc-client-secret')).toBe('')
  expect(read('vestibule.yaml')).not.toContain('null')
})

test.for<[line: string, expected: string | RegExp]>([
  ['CLIENT_SECRET=a#b=c', 'a#b=c'],
  ['export CLIENT_SECRET = a # of the client', 'a'],
  [String.raw`CLIENT_SECRET="a\"b\n#c" # of the client`, 'a"b\n#c'],
  ["CLIENT_SECRET='a$B\nc'", 'a$B\nc'],
  ['\uFEFF# x\r\n\r\nCLIENT_SECRET=a$\r\n', 'a$'],
  ['OAUTH2_PROXY_Client_Secret=a', /to do: --client-secret: has no value here/],
  ['CLIENT_SECRET', /old\.env, line 1: has a name without a value/],
  ['CLIENT_SECRET=S3cret$B', /line 1: has a \$ that Compose replaces/],
  ['CLIENT_SECRET="S3cret', /line 1: is not NAME=VALUE/],
  ['CLIENT_SECRET=${S3cret}', /CLIENT_SECRET says where its value is kept/],
  ['S3cret of mine', /line 1: is not NAME=VALUE/],
])('reads the variable %j as Compose does, or refuses it', async ([line, expected]) => {
  const env = line.replace('CLIENT', 'OAUTH2_PROXY_CLIENT')
  const flags = BASE.filter((flag) => !flag.startsWith('--client-secret'))
  const { code, output, read } = await run({ env, flags })
  if (typeof expected === 'string') expect(read('secrets/oidc-client-secret')).toBe(expected)
  else expect([code, output]).toEqual([1, expect.stringMatching(expected)])
  expect(output).not.toContain('S3cret')
})

test('what the old configuration holds stays code in the page, and a folder with blanks one word of a shell', async () => {
  const flags = [...BASE, '--skip-auth-route=^/a`<b>[c](d)\n## x']
  const { code, output } = await runCommand(() =>
    migrate('oauth2-proxy', '--out', pathOf("it's new"), '--', ...flags),
  )
  expect([code, output]).toEqual([1, expect.stringContaining(String.raw`[c](d)\u{a}## x`)])
  const page = readFileSync(pathOf("it's new/MIGRATION.md"), 'utf8')
  expect(page).toContain('``  ^/a`<b>[c](d) ## x  ``'.replaceAll('  ', ' '))
  expect(page).toContain(String.raw`/it'\''s new/vestibule.yaml' vestibule check-config`)
})

test('the command line wins over variables, and those over the file; lists and values have the forms of oauth2-proxy', async () => {
  const { config } = await run({
    config:
      'client_id = "file"\noidc_issuer_url = "https://file.example"\nEMAIL_DOMAINS = "a.example,b.example"\nprovider = "oidc"',
    env: 'OAUTH2_PROXY_CLIENT_ID=variable\nOAUTH2_PROXY_OIDC_ISSUER_URL=https://variable.example\nOAUTH2_PROXY_SCOPE=\nOTHER=x',
    flags: [
      '--client-id',
      'flag',
      '--allowed-group=a,"b,c"',
      '--allowed-group',
      'd',
      '--insecure-oidc-allow-unverified-email',
      '--cookie-expire=1h30m',
    ],
  })
  expect(config()).toMatchObject({
    oidc: { clientId: 'flag', issuerUrl: 'https://variable.example', trustEmail: true },
    session: { maxAge: 5400 },
    rules: [{ allow: { emailDomains: ['a.example', 'b.example'], groups: ['a', 'b,c', 'd'] } }],
  })
})

test.for(
  rows(String.raw`
    --reverse-proxy → { emailDomains: [example.com] }
    --email-domain=B.example --allowed-group=x → { emailDomains: [example.com, b.example], groups: [x] }
    --email-domain=* → { none: [{ emailDomains: [nobody.invalid] }] }
    --email-domain=* --allowed-group=x → { none: [{ emailDomains: [nobody.invalid] }], groups: [x] }
    --email-domain=* --insecure-oidc-allow-unverified-email → { none: [{ emailDomains: [nobody.invalid] }] }
    --email-domain=* --oidc-email-claim=upn --allowed-group=x → { none: [{ emailDomains: [nobody.invalid] }], groups: [x] }
    --provider=keycloak-oidc --allowed-role=r → { emailDomains: [example.com], claims: { realm_access.roles: [r] } } → To do at[^#]*Add to ID token
    --provider=keycloak-oidc --email-domain=* --allowed-role=r,my.app:w --allowed-group=/g,role:q → { none: [{ emailDomains: [nobody.invalid] }], any: [{ groups: [/g] }, { claims: { realm_access.roles: [r, q] } }, { claims: { 'resource_access.my\.app.roles': [w] } }] }
    --provider=keycloak-oidc --email-domain=* --allowed-role=r → { none: [{ emailDomains: [nobody.invalid] }], claims: { realm_access.roles: [r] } }
    --email-domain=·*,·example.net,@a.example → { emailDomains: [example.com] } → Not carried over[^#]*let nobody in
    --allowed-group=x,·y → { emailDomains: [example.com], groups: [x] } → Not carried over[^#]*blank at an end
    --allowed-group=·y → { all: [{ emailDomains: [example.com] }, { emailDomains: [nobody.invalid] }] }
    --provider=gitlab --gitlab-group=a --allowed-group=b → { emailDomains: [example.com], groups: [a] } → Not carried over[^#]*did not count beside
    --email-domain=.example.org → { emailDomains: [example.com] } → To do before[^#]*sub-domain of \x60\.example\.org
    --provider=google --google-group=g → { emailDomains: [example.com], groups: [g] } → To do before[^#]*Google puts no groups
    --provider=gitlab --gitlab-project=a/b → { emailDomains: [example.com], groups: ['project:a/b'] } → To do before[^#]*\x60--gitlab-project
    --github-org=acme → { emailDomains: [example.com] } → To do before[^#]*\x60--github-org\x60: restricts nothing
    --authenticated-emails-file=/nowhere → { emailDomains: [example.com] } → To do before[^#]*cannot be read here`),
)('%j lets in whom oauth2-proxy would', async ([flags, allow, told]) => {
  const { config, read } = await withBase(...flags)
  expect(config().rules.at(-1)?.['allow'] ?? null).toEqual(allow)
  expect(read('MIGRATION.md')).toMatch(told)
})

test.for<[text: string, emails: readonly string[] | undefined]>([
  ['# c\n IVY@example.net \n\nivy@example.net\n', ['ivy@example.net']],
  ['"a@x.example",z\nb@x.example,\n', ['a@x.example', 'b@x.example']],
  ['a@x.example # hi\nb@x.example\n', ['b@x.example']],
  ['a@x.example\nb@x.example,z\n', undefined],
  ['a"@x.example\nb@x.example\n', undefined],
])('lets in the addresses of the file %j, if oauth2-proxy can read it', async ([text, emails]) => {
  const file = `--authenticated-emails-file=${await write('emails', text)}`
  const { code, config } = await withBase(file)
  const domain = { emailDomains: ['example.com'] }
  expect([code, config().rules.at(-1)?.['allow']]).toEqual(
    emails ? [0, { any: [domain, { emails }] }] : [1, domain],
  )
})

test('where nobody can be named, nobody gets in', async () => {
  const flags = BASE.map((flag) => flag.replace('=example.com', '=.example.com'))
  const { code, config } = await run({ flags })
  expect([code, config().rules.at(-1)?.['allow']]).toEqual([
    1,
    { emailDomains: ['nobody.invalid'] },
  ])
})

/** Expressions with what becomes of them: as much, less, or nothing. */
const ROUTES: readonly [kind: 'exact' | 'less' | 'none', routes: readonly string[]][] = [
  [
    'exact',
    words`^/$ ^/health$ ^/static/ ^/api/.* ^/api(/.*)?$ ^/api(/|$) ^/robots\\.txt$ ^/(a|b)$ ^/(a|b)/ ^/x/[^/]+$ ^/x/.+ ^/\\.well-known/`,
  ],
  ['less', words`^/static /static ^/robots.txt$ ^/favicon.ico ^/a.*`],
  [
    'none',
    words`.* ^/ / ^/x/[0-9]+$ \\.png$ ^/a|/b ^/a(b)?$ ^/a/../b$ ^/a(b|c)*$ (?i)^/a$ ^/a|^/ ^/a\\d ^/a(/|$)|x ^(?!/admin) ^/[ab]$`,
  ],
]
const PATHS = words`/ /health /Health /health/ /static /static/ /static/a/b /statics /x/static/y /api /api/ /api/v1 /robots.txt /robotsxtxt /a /a/ /a/c /b /x /x/ /x/1 /x/1/2 /favicon.ico /favicon.ico/x /abc /.well-known/acme /other /admin`

test.for(ROUTES.flatMap(([kind, routes]) => routes.map((route) => [kind, route] as const)))(
  'opens %s of %s, and never more',
  async ([kind, route]) => {
    const { out, code, read } = await withBase(`--skip-auth-route=${route}`)
    expect(code).toBe(kind === 'none' ? 1 : 0)
    const title = { exact: 'Carried over', less: 'Stricter than before', none: 'To do before' }[
      kind
    ]
    expect(read('MIGRATION.md').split(`## ${title}`)[1]).toContain('* `--skip-auth-route`')
    const opened: string[] = []
    for (const path of PATHS) {
      const url = `--url=https://app.example.com${path}`
      const environment = { VESTIBULE_CONFIG: `${out}/vestibule.yaml` }
      const asked = await runCommand(() => explain(environment, url, '--expect=allow'))
      if (asked.code === 0) opened.push(path)
    }
    const before = PATHS.filter((path) => new RegExp(route.replace('(?i)', '')).test(path))
    const comparable = (paths: readonly string[]) =>
      paths.filter((path) => kind !== 'exact' || !/^\/\w+\/$/.test(path))
    if (kind === 'exact') expect(comparable(opened)).toEqual(comparable(before))
    else expect(opened.length > 0).toBe(kind === 'less')
    expect(before).toEqual(expect.arrayContaining(opened))
  },
)

test.for(
  rows(String.raw`
    --upstream=http://app/ --skip-auth-route=POST=^/hook$ → { rules: [{ methods: [POST], paths: [/hook], access: optional }, {}] }
    --skip-auth-route=POST=^/hook$ → { rules: [{ name: people }] } → Not carried over[^#]*\x60POST\x60 opened nothing
    --skip-auth-route=^/x=y → { rules: [{ name: people }] } → Not carried over[^#]*is no method
    --reverse-proxy=false --skip-auth-route=^/x$ → { rules: [{ name: people }] } → Not carried over[^#]*reads the visitor
    --provider=gitlab --upstream=http://app/ --pass-user-headers → { identityHeaders: [X-Forwarded-Groups=groups, X-Forwarded-User=nickname, X-Forwarded-Email=email, X-Forwarded-Preferred-Username=preferred_username] } → Different[^#]*the user was
    --provider=google --oidc-email-claim=sub --insecure-oidc-allow-unverified-email → { oidc: { issuerUrl: 'https://id.example.com' } } → Carried over[^#]*\x60--insecure-oidc-allow-unverified-email\x60: had no effect
    --skip-auth-route=!=^/private → { rules: [{ name: people }] } → To do before[^#]*opens every path but some
    --upstream=http://app/ --skip-auth-preflight → { rules: [{ preflight: pass }] }
    --skip-auth-preflight → { rules: [{ name: people }] } → Not carried over[^#]*preserveRequestMethod
    --trusted-ip=10.0.0.0/8 → { rules: [{ name: people }] } → Stricter[^#]*ClientIP
    --skip-jwt-bearer-tokens → { rules: [{ name: people }] } → Stricter[^#]*\x60--skip-jwt-bearer-tokens
    --skip-jwt-bearer-tokens --extra-jwt-issuers=https://ci.example.com=api → { rules: [{ bearer: { issuers: ['https://ci.example.com'], audiences: [api], tokenType: jwt } }] }
    --skip-jwt-bearer-tokens --extra-jwt-issuers=https://a.example=x,https://b.example=y → { rules: [{ name: people }] } → To do before[^#]*audience
    --cookie-domain=.example.com --redirect-url=https://auth.example.com/x → { publicUrl: 'https://auth.example.com', cookie: { domain: example.com }, protectedHosts: ['*.example.com'] } → provider[^#]*becomes \x60https://auth\.example\.com/oauth2/callback
    --redirect-url=http://app.localhost:8080 --cookie-secure=false → { protectedHosts: ['http://app.localhost:8080'] }
    --proxy-prefix=/sso --cookie-name=__Secure-acme --cookie-samesite=strict → { basePath: /sso, cookie: { name: acme, sameSite: strict } }
    --cookie-expire=0 → { cookie: { persistent: false } }
    --trusted-proxy-ip=10.1.0.0/16 --http-address=:4181 → { trustedProxies: [10.1.0.0/16], port: 4181, internalPort: 4182 }
    --trusted-proxy-ip=0.0.0.0/0 → {} → Stricter[^#]*covers every address
    --prompt=login --acr-values=a,b → { oidc: { authorizationParams: ['acr_values=a%2Cb', prompt=login] } }
    --prompt=none → {} → Not carried over[^#]*\x60--prompt
    --upstream=http://app:3000/ --pass-access-token --pass-authorization-header --prefer-email-to-user → { passAccessToken: true, passAuthorization: id-token, identityHeaders: [X-Forwarded-Groups=groups, X-Forwarded-User=email, X-Forwarded-Preferred-Username=preferred_username, X-Forwarded-Access-Token=access_token] }
    --upstream=http://u:S3cret@app:3000/ → {} → To do before[^#]*no plain address
    --basic-auth-password=S3cret-basic --set-basic-auth → {} → Not carried over[^#]*\x60--set-basic-auth
    --provider=entra-id --entra-id-allowed-tenant=t1 --oidc-issuer-url=https://login.microsoftonline.com/common/v2.0 → { oidc: { issuerUrl: 'https://login.microsoftonline.com/t1/v2.0', trustEmail: true } }
    --provider=entra-id --oidc-issuer-url=https://login.microsoftonline.com/common/v2.0 → {} → To do before[^#]*several tenants
    --session-store-type=redis --redis-use-sentinel --redis-sentinel-master-name=m --redis-sentinel-connection-urls=redis://a:26379,redis://b --redis-sentinel-password=S3cret-s --redis-password=S3cret-r --redis-username=u → { redis: { enabled: true, sentinelAddresses: ['a:26379', 'b:6379'], sentinelMaster: m, username: u } }
    --session-store-type=redis --redis-use-cluster --redis-cluster-connection-urls=rediss://u:S3cret%25@a:7000,rediss://u:S3cret%25@b:7001 → { redis: { cluster: true, address: 'a:7000,b:7001', enableTLS: true, username: u } }`),
)('%j becomes settings', async ([flags, expected, told]) => {
  const { config, read, told: all } = await withBase(...flags)
  expect(config()).toMatchObject(expected as object)
  expect(read('MIGRATION.md')).toMatch(told)
  expect(all()).not.toContain('S3cret')
  if (!told.source.includes('several tenants')) expect(all()).not.toContain('cannot be used yet')
})

test('routers of apps ask Vestibule, and secrets are in files that nobody else reads', async () => {
  const { out, read, code } = await withBase(
    '--upstream=http://app:3000/',
    '--upstream=http://api:8080/v1',
  )
  expect(code).toBe(0)
  expect(read('traefik/apps.yaml')).toMatch(
    /Host\(`app\.example\.com`\) && PathPrefix\(`\/`\)[^]*- protected\n[^]*Path\(`\/v1`\)[^]*url: http:\/\/api:8080\n/,
  )
  const modeOf = (name: string) => statSync(`${out}/${name}`).mode & 0o777
  expect([
    modeOf(''),
    modeOf('secrets'),
    ...readdirSync(`${out}/secrets`).map((name) => modeOf(`secrets/${name}`)),
  ]).toEqual([0o700, 0o700, 0o600, 0o600])
  expect(read('secrets/oidc-client-secret')).toBe('S3cret-of-client')
})

test('a folder that is there is left as it is, and nothing is made below one that is missing', async () => {
  mkdirSync(pathOf('new'))
  await write('new/kept', 'x')
  expect(await withBase()).toMatchObject({
    code: 1,
    output: expect.stringMatching(/new is there already, and nothing in it was changed/) as string,
  })
  expect(readdirSync(pathOf('new'))).toEqual(['kept'])
  const missing = await runCommand(() =>
    migrate('oauth2-proxy', '--out', pathOf('a/b'), '--', ...BASE),
  )
  expect(missing).toMatchObject({
    code: 1,
    output: expect.stringContaining('the folder above it does not exist') as string,
  })
  expect(existsSync(pathOf('a'))).toBe(false)
})

test('a relative folder counts from where the command runs', async () => {
  const before = process.cwd()
  process.chdir(pathOf(''))
  try {
    const { code } = await runCommand(() => migrate('oauth2-proxy', '--out', 'here', '--', ...BASE))
    expect([code, readdirSync(pathOf('here')).toSorted()]).toEqual([
      0,
      ['MIGRATION.md', 'secrets', 'traefik', 'vestibule.yaml'],
    ])
  } finally {
    process.chdir(before)
  }
})

test('a failure half way leaves nothing', async () => {
  const installation = {
    name: 'twice',
    settings: new Map(),
    secrets: new Map(),
    policies: {},
    rules: [],
    notes: [],
  }
  expect(() => writeInstallations([installation, installation], pathOf('new'))).toThrow(/EEXIST/)
  expect(existsSync(pathOf('new'))).toBe(false)
  await expect(runIn(['--config', pathOf('none')], [])).resolves.toMatchObject({
    code: 1,
    output: expect.stringContaining('cannot be read: ENOENT') as string,
  })
})
