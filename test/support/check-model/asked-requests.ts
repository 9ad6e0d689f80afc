import fc from 'fast-check'
import { askedPaths, askedQueries } from './asked-paths.ts'
import type { SentHeader, SentRequest, World } from './world.ts'

function often<T, U>(weight: number, usual: fc.Arbitrary<T>, rare: fc.Arbitrary<U>) {
  return fc.oneof<[fc.WeightedArbitrary<T>, fc.WeightedArbitrary<U>]>(
    { withCrossShrink: true },
    { weight, arbitrary: usual },
    { weight: 1, arbitrary: rare },
  )
}
const one = fc.constantFrom
const none = fc.constant<readonly never[]>([])

const HTML = 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'
const fetched = (mode: string, dest: string, ...others: readonly SentHeader[]) =>
  [['Sec-Fetch-Mode', mode], ['Sec-Fetch-Dest', dest], ...others] as const

const PAGE: readonly SentHeader[] = fetched('navigate', 'document', ['Accept', HTML])
const SCRIPT: readonly SentHeader[] = fetched('cors', 'empty', ['Accept', '*/*'])

/** Headers by which a request is told to be a page, a script and so on. */
const STYLES: readonly (readonly SentHeader[])[] = [
  PAGE,
  fetched('navigate', 'document'),
  fetched('navigate', 'empty', ['Accept', HTML]),
  fetched('navigate', 'empty', ['Accept', '*/*']),
  fetched('navigate', 'iframe', ['Accept', HTML]),
  SCRIPT,
  fetched('same-origin', 'empty', ['Accept', HTML]),
  fetched('no-cors', 'image', ['Accept', 'image/*']),
  fetched('no-cors', 'script'),
  fetched('cors', 'manifest'),
  fetched('websocket', 'empty', ['Sec-WebSocket-Key', 'abc'], ['Sec-WebSocket-Version', '13']),
  fetched('navigate', 'document', ['Sec-Purpose', 'prefetch;prerender']),
  fetched('navigate', 'document', ['Accept', HTML], ['X-Requested-With', 'XMLHttpRequest']),
  [['Accept', HTML]],
  [['accept', 'TEXT/HTML']],
  [
    ['Accept', HTML],
    ['X-Requested-With', 'XMLHttpRequest'],
  ],
  [
    ['Accept', 'application/json'],
    ['x-requested-with', 'fetch'],
  ],
  [
    ['Accept', HTML],
    ['Content-Type', 'application/grpc-web+proto'],
  ],
  [
    ['Accept', HTML],
    ['Purpose', 'preview'],
  ],
  [['Accept', 'text/event-stream']],
  [
    ['Sec-WebSocket-Version', '13'],
    ['Accept', HTML],
  ],
  [
    ['Accept', 'application/json'],
    ['Accept', 'text/html'],
  ],
  [],
]

const ORIGINS = [
  'https://app.example.com',
  'https://other.example.com',
  'https://APP.example.com:443',
  'http://app.example.com',
  'https://evil.example',
  'https://app.example.com.evil.example',
  'null',
  '',
]
const REFERERS = [
  'https://app.example.com/from?x=1',
  'https://app.example.com/oauth2/login?rd=/',
  'https://evil.example/',
  'https://app.example.com.evil.example/',
  'https://app.example.com',
]

const EXTRAS: readonly (readonly SentHeader[])[] = [
  ...ORIGINS.map((origin) => [['Origin', origin]] as const),
  ...ORIGINS.slice(0, 5).map(
    (origin) =>
      [
        ['Origin', origin],
        ['Access-Control-Request-Method', 'PUT'],
      ] as const,
  ),
  [
    ['Origin', 'https://app.example.com'],
    ['Origin', 'https://evil.example'],
  ],
  [['Access-Control-Request-Method', 'PUT']],
  ...REFERERS.map((referer) => [['Referer', referer]] as const),
  [['X-Request-Id', 'request-0001']],
  [['x-request-id', 'bad id!']],
  [['traceparent', `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`]],
  [['X-Auth-Request-User', 'root']],
  [
    ['X-Auth-Request-User', 'root'],
    ['x-auth-request-user', 'admin'],
  ],
  [
    ['X-Original-URL', '/public/a'],
    ['X-Rewrite-URL', '/public/a'],
    ['Forwarded', 'host=evil.example'],
  ],
  [
    ['X-Forwarded-Prefix', '/public'],
    ['X-Forwarded-Port', '80'],
    ['X-Forwarded-Server', 'x'],
  ],
  [
    ['Accept-Encoding', 'gzip, br'],
    ['User-Agent', 'text/html'],
  ],
  [
    ['If-None-Match', '*'],
    ['Range', 'bytes=0-1'],
  ],
  [['Sec-Purpose', 'prefetch']],
  [['X-Long', 'l'.repeat(9000)]],
  ...Array.from({ length: 3 }, (_, at) => [[`X-${'n'.repeat(30 + 30 * at)}`, '\xe9\xff']] as const),
]
const REFUSED: readonly SentHeader[] = [
  ...'X_Auth_Request_User X.Auth.Request.Email X-Auth-Request_Groups x_auth-request-access-token X_Forwarded_Host X.Forwarded.Host x-forwarded_uri X_Forwarded_For X~Forwarded~Proto X-Auth-Request-Name_'
    .split(' ')
    .map((name) => [name, 'alice'] as const),
  ...'X-HTTP-Method-Override x-http-method X-Method-Override X_HTTP_Method_Override X.Http.Method'
    .split(' ')
    .map((name) => [name, 'DELETE'] as const),
]

/** Ways in which a header of Traefik's may be wrong; none of them may count. */
type Spoil = (header: SentHeader, value: string) => readonly SentHeader[]
const SPOILS: readonly Spoil[] = [
  () => [],
  ([name]) => [[name, '']],
  (header) => [header, header],
  ([name, value]) => [
    [name, value],
    [name.toLowerCase(), value],
  ],
  (header, value) => [header, [header[0].toUpperCase(), value]],
  ([name, own], value) => [
    [name, value],
    [name, own],
  ],
  ([name, own], value) => [[name, `${own}, ${value}`]],
  // A path may hold a comma, but no blank.
  ([name, own]) => [[name, name.endsWith('Uri') ? `${own}, ${own}` : `${own},${own}`]],
  ([name], value) => [[name, value]],
  ([name, own]) => [[name.replaceAll('-', '_'), own]],
]
const ODD: Readonly<Record<string, readonly string[]>> = {
  'X-Forwarded-Method': ['get', 'TRACE', 'CONNECT', 'G T', 'GET!', 'A'.repeat(33), 'DELETE'],
  'X-Forwarded-Proto': ['http', 'HTTPS', 'ftp', 'ws', 'https:'],
  'X-Forwarded-Host': [
    'evil.example',
    'app.example.com.',
    'user@app.example.com',
    'app.example.com:8443',
    '[::1]',
    'app..example.com',
    'app.example.com/x',
    '.example.com',
    'app.example.com:443:443',
    'xn--pp-example.com',
    'app.example.com%00',
    'wild.example.com',
  ],
  'X-Forwarded-Uri': [
    '//evil.example',
    'public/a',
    'https://app.example.com/',
    '/a b',
    '/a#b',
    '*',
    '/a\tb',
  ],
}

const METHODS = [
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'OPTIONS',
  'LIST',
  'VERSION-CONTROL',
  'A_1',
]

/** Cookies of others, before, between and behind ours. */
const FOREIGN = [
  'a=b',
  'theme="dark; mode"',
  'x',
  '',
  ' ',
  'vestibul=1',
  'xvestibule=1',
  'x__Host-vestibule=v1.a.b',
  '__host-vestibule=1',
  '__HOST-VESTIBULE=1',
  'a=__Host-vestibule=v1',
  '__Host-vestibulex=1',
  'caf\xe9=\xff',
  `big=${'c'.repeat(8192)}`,
  'vestibule_login=1',
  '__Host-vestibule_target=1',
]

/** Requests biased towards trouble; everything they hold means something in this world. */
export function askedRequests(world: World): fc.Arbitrary<SentRequest> {
  const forwarded = forwardedHeaders(world)
  return fc
    .record({
      forwarded,
      style: one(...STYLES),
      cookies: cookieHeaders(world),
      tokens: tokenHeaders(world),
      extras: often(
        1,
        none,
        fc.array(one<(readonly SentHeader[])[]>(...EXTRAS), { maxLength: 2 }).map(joined),
      ),
      refused: often(
        25,
        none,
        one(...REFUSED).map((each): readonly SentHeader[] => [each]),
      ),
      at: fc.nat({ max: 1000 }),
      line: often(30, fc.constant(PLAIN_LINE), one(...LINES)),
      body: often(6, fc.constant(undefined), one(...BODIES)),
      isTraefikFirst: fc.boolean(),
    })
    .map((parts) => {
      const { forwarded: traefik, line, body, refused } = parts
      const visitors: readonly SentHeader[] = [
        ...parts.style,
        ...parts.cookies,
        ...parts.tokens,
        ...parts.extras,
      ]
      const headers: SentHeader[] = parts.isTraefikFirst
        ? [...traefik.headers, ...visitors]
        : [...visitors, ...traefik.headers]
      headers.splice(parts.at % (headers.length + 1), 0, ...refused)
      return {
        method: line.method,
        target: line.target,
        version: line.version,
        headers: [...line.headers, ...headers],
        readings: traefik.readings,
        ...(body && { body }),
      }
    })
    .filter(({ headers }) => headers.flat().join('').length < MAX_HEAD)
}

/** Bound of the headers, above which Node's parser answers 431 to what no check is asked for. */
const MAX_HEAD = 60_000

/** Returns requests with one odd thing at a time, each of the kinds above, and every credential in plain ones. */
export function simpleRequests(world: World): readonly SentRequest[] {
  const [first = ''] = world.sessions.keys()
  const cookie = (value: string): SentHeader => ['Cookie', `${sessionCookie(world)}=${value}`]
  const known: readonly SentHeader[] = [...PAGE, cookie(first)]
  const credentials = [
    ...[...world.sessions.keys(), ...world.strangers].map((value) => [cookie(value)]),
    ...FOREIGN.map((pair): SentHeader[] => [['Cookie', `${pair};${cookie(first)[1]}; ${pair}`]]),
  ]
  const tokens = [...world.tokens.keys(), ...world.badTokens].map((token) => `Bearer ${token}`)
  const [good = '', other = ''] = tokens
  const presented = [...tokens.map((each) => [each]), [good, other], [good, 'Basic x'], ['x', good]]
  const odd = TRAEFIK_NAMES.flatMap((name, at) => {
    const values = ODD[name] ?? []
    const put = (changed: readonly SentHeader[]) =>
      plainRequest('/x', known, { headers: TRAEFIK.toSpliced(at, 1, ...changed) })
    return [
      ...values.map((value) => put([[name, value]])),
      ...SPOILS.map((spoil) => put(spoil(TRAEFIK[at] ?? [name, ''], values[0] ?? ''))),
    ]
  })
  return [
    ...odd,
    ...[...REFUSED.map((each) => [each]), ...EXTRAS].flatMap((each) => [
      plainRequest('/x', [...known, ...each]),
      plainRequest('/x', [...each, ...SCRIPT, cookie(first)]),
    ]),
    ...STYLES.flatMap((style) => [
      plainRequest('/x', style),
      plainRequest('/x', [...style, cookie(first)]),
      plainRequest('/debug', style),
      plainRequest('/x', style, { headers: TRAEFIK.with(0, ['X-Forwarded-Method', 'POST']) }),
    ]),
    ...LINES.map((line) => ({ ...plainRequest('/x', known, { line }) })),
    ...BODIES.map((body) => ({ ...plainRequest('/x', known), body })),
    ...credentials.flatMap((each) => [
      plainRequest('/x', [...PAGE, ...each]),
      plainRequest('/x', [...PAGE, ...each], {
        headers: TRAEFIK.with(2, ['X-Forwarded-Host', 'other.example.com']),
      }),
      plainRequest('/admin/', [...SCRIPT, ...each]),
      plainRequest('/reports/q', [...PAGE, ...each]),
      plainRequest('/deploy/q', [...PAGE, ...each]),
    ]),
    ...presented.flatMap((values) => {
      const headers = values.map((each): SentHeader => ['Authorization', each])
      return ['/api/orders', '/reports/q', '/x'].map((path) => plainRequest(path, headers))
    }),
  ]
}

const TRAEFIK: readonly SentHeader[] = [
  ['X-Forwarded-Method', 'GET'],
  ['X-Forwarded-Proto', 'https'],
  ['X-Forwarded-Host', 'app.example.com'],
  ['X-Forwarded-Uri', '/x'],
]
const TRAEFIK_NAMES = TRAEFIK.map(([name]) => name)

function plainRequest(
  path: string,
  visitors: readonly SentHeader[],
  { line = PLAIN_LINE, headers = TRAEFIK } = {},
): SentRequest {
  const asked = headers.map(
    ([name, value]): SentHeader => [
      name,
      name === 'X-Forwarded-Uri' && value === '/x' ? path : value,
    ],
  )
  return { ...line, headers: [...line.headers, ...asked, ...visitors], readings: [path] }
}

type Line = Pick<SentRequest, 'method' | 'target' | 'version' | 'headers'>
const PLAIN_LINE: Line = {
  method: 'GET',
  target: '/auth',
  version: '1.1',
  headers: [['Host', 'vestibule:4181']],
}
const LINES: readonly Line[] = [
  ...['HEAD', 'POST', 'DELETE', 'OPTIONS', 'PROPFIND'].map((method) => ({ ...PLAIN_LINE, method })),
  { ...PLAIN_LINE, version: '1.0' },
  { ...PLAIN_LINE, target: 'http://vestibule:4181/auth' },
  ...['', '127.0.0.1:4181', '[::1]:4181', 'VESTIBULE', 'app.example.com', 'a b', 'a/b', 'u@h'].map(
    (host): Line => ({ ...PLAIN_LINE, headers: [['Host', host]] }),
  ),
  { ...PLAIN_LINE, headers: [] },
  {
    ...PLAIN_LINE,
    headers: [
      ['Host', 'vestibule'],
      ['Connection', 'close'],
    ],
  },
]
const BODIES: readonly NonNullable<SentRequest['body']>[] = [
  { framing: 'length', bytes: 0 },
  { framing: 'length', bytes: 40 },
  { framing: 'length', bytes: 16_384 },
  { framing: 'length', bytes: 20_000 },
  { framing: 'chunked', bytes: 40 },
]

function forwardedHeaders({ hosts }: World) {
  const names = hosts.map(({ scheme, pattern }) => [scheme, pattern.replace('*', 'a_b')] as const)
  const spelled = names.flatMap(([scheme, host]) => [
    [scheme, host] as const,
    [scheme, host] as const,
    [scheme, host.toUpperCase()] as const,
    [scheme, host.includes(':') ? host : `${host}:${scheme === 'https' ? 443 : 80}`] as const,
  ])
  const usual = fc.record({
    method: one(...METHODS),
    site: often(2, fc.constant(names[0] ?? (['https', ''] as const)), one(...spelled)),
    isSocket: often(20, fc.constant(false), fc.constant(true)),
    asked: askedPaths,
    query: askedQueries,
    from: often(
      5,
      fc.constant<string[]>(['203.0.113.7']),
      one<string[]>([], ['10.0.0.1, 203.0.113.7:80'], ['x', '1.2.3.4']),
    ),
  })
  const spoil = fc.tuple(fc.nat({ max: 3 }), one(...SPOILS), fc.nat({ max: 20 }))
  return fc
    .tuple(usual, often(14, fc.constant(undefined), spoil))
    .map(([{ method, site, isSocket, asked, query, from }, spoiled]) => {
      const proto = isSocket ? site[0].replace('http', 'ws') : site[0]
      const good: readonly SentHeader[] = [
        ['X-Forwarded-Method', method],
        ['X-Forwarded-Proto', proto],
        ['X-Forwarded-Host', site[1]],
        ['X-Forwarded-Uri', asked.path + query],
      ]
      const headers = good.flatMap((header, at) => {
        if (!spoiled || spoiled[0] !== at) return [header]
        const odd = ODD[header[0]] ?? []
        return spoiled[1](header, odd[spoiled[2] % odd.length] ?? '')
      })
      const clients = from.map((each): SentHeader => ['X-Forwarded-For', each])
      return { headers: [...headers, ...clients], readings: asked.readings }
    })
}

function sessionCookie({ cookieDomain }: World): string {
  return `${cookieDomain === undefined ? '__Host-' : '__Secure-'}vestibule`
}

const RECENT = 'recent'

/** Returns what looks like an assertion of this second, by which the browser needs no other one. */
function recentAssertion(): string {
  return `v1.${Math.floor(Date.now() / 1000).toString(36)}.x`
}

function cookieHeaders(world: World): fc.Arbitrary<readonly SentHeader[]> {
  const name = sessionCookie(world)
  const alive = [...world.sessions.keys()]
  const values = often(2, one(...alive), one(...world.strangers))
  const blanks = often(6, fc.constant(''), one(' ', '\t', '  '))
  const ours = fc
    .tuple(
      often(10, fc.constant(name), one('vestibule', '__Host-vestibule', '__Secure-vestibule')),
      values,
      blanks,
    )
    .map(([each, value, blank]) => `${each}${blank}=${blank}${value}${blank}`)
  const wrong = values.chain((value) =>
    one(
      `${name}="${value}"`,
      `${name}=`,
      name,
      `${name}=v2${value.slice(2)}`,
      `${name}=${value}x`,
      `${name}=${value.slice(0, -1)}`,
    ),
  )
  const outage = often(2, one(...world.assertions.values(), RECENT), one('', 'v1.0.x', 'x')).map(
    (value) => `${name}_outage=${value === RECENT ? recentAssertion() : value}`,
  )
  const pairs = fc.oneof(
    { weight: 5, arbitrary: ours.map((each) => [each]) },
    { weight: 1, arbitrary: ours.map((each) => [each, each]) },
    { weight: 1, arbitrary: fc.tuple(ours, ours) },
    { weight: 1, arbitrary: fc.tuple(ours, wrong) },
    { weight: 1, arbitrary: wrong.map((each) => [each]) },
    { weight: 2, arbitrary: none },
    { weight: 3, arbitrary: fc.tuple(ours, outage) },
    { weight: 1, arbitrary: fc.tuple(ours, outage, outage) },
  )
  const foreign = often(1, none, fc.array(one(...FOREIGN), { maxLength: 3 }))
  return fc
    .record({
      own: pairs,
      foreign,
      mixed: fc.nat({ max: 6 }),
      split: often(8, fc.constant(false), fc.constant(true)),
      joint: often(4, fc.constant('; '), one(';', ' ; ')),
    })
    .map(({ own, foreign: others, mixed, split, joint }) => {
      const all: string[] = [...others]
      for (const each of own) all.splice(mixed % (all.length + 1), 0, each)
      if (all.length === 0) return []
      return split ? all.map((each): SentHeader => ['cookie', each]) : [['Cookie', all.join(joint)]]
    })
}

function tokenHeaders({ tokens, badTokens }: World): fc.Arbitrary<readonly SentHeader[]> {
  const token = often(3, one(...tokens.keys()), one(...badTokens))
  const bearer = fc
    .tuple(one('Bearer ', 'bearer ', 'BEARER  ', 'DPoP ', 'Bearer', 'Bearer x ', 'Bearer,'), token)
    .map(([scheme, each]) => scheme + each)
  const usual = token.map((each) => `Bearer ${each}`)
  const value = fc.oneof(
    { weight: 4, arbitrary: usual },
    { weight: 2, arbitrary: bearer },
    {
      weight: 1,
      arbitrary: one(
        'Basic YTpi',
        'Bearer',
        'DPoP',
        '',
        'Negotiate x',
        'Bearerx y',
        `Bearer ${'x'.repeat(17_000)}`,
      ),
    },
  )
  const one_header = value.map((each): readonly SentHeader[] => [['Authorization', each]])
  const two = fc.tuple(value, value).map(([a, b]): readonly SentHeader[] => [
    ['Authorization', a],
    ['authorization', b],
  ])
  const proof = one_header.map((each): readonly SentHeader[] => [...each, ['DPoP', 'not.a.proof']])
  return fc.oneof(
    { weight: 8, arbitrary: none },
    { weight: 6, arbitrary: one_header },
    { weight: 1, arbitrary: two },
    { weight: 1, arbitrary: proof },
  )
}

function joined(lists: readonly (readonly SentHeader[])[]): readonly SentHeader[] {
  return lists.flatMap((each) => each)
}
