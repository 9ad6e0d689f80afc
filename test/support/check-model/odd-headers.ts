import type { SentHeader, SentRequest } from './world.ts'

const HTML = 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'
const fetched = (mode: string, dest: string, ...others: readonly SentHeader[]) =>
  [['Sec-Fetch-Mode', mode], ['Sec-Fetch-Dest', dest], ...others] as const

export const PAGE: readonly SentHeader[] = fetched('navigate', 'document', ['Accept', HTML])
export const SCRIPT: readonly SentHeader[] = fetched('cors', 'empty', ['Accept', '*/*'])

/** Headers by which a request is told to be a page, a script and so on. */
export const STYLES: readonly (readonly SentHeader[])[] = [
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

export const EXTRAS: readonly (readonly SentHeader[])[] = [
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
export const REFUSED: readonly SentHeader[] = [
  ...'X_Auth_Request_User X.Auth.Request.Email X-Auth-Request_Groups x_auth-request-access-token X_Forwarded_Host X.Forwarded.Host x-forwarded_uri X_Forwarded_For X~Forwarded~Proto X-Auth-Request-Name_'
    .split(' ')
    .map((name) => [name, 'alice'] as const),
  ...'X-HTTP-Method-Override x-http-method X-Method-Override X_HTTP_Method_Override X.Http.Method'
    .split(' ')
    .map((name) => [name, 'DELETE'] as const),
]

/** Ways in which a header of Traefik's may be wrong; none of them may count. */
type Spoil = (header: SentHeader, value: string) => readonly SentHeader[]
export const SPOILS: readonly Spoil[] = [
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
export const ODD: Readonly<Record<string, readonly string[]>> = {
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

export const METHODS = [
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
export const FOREIGN = [
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

type Line = Pick<SentRequest, 'method' | 'target' | 'version' | 'headers'>
export const PLAIN_LINE: Line = {
  method: 'GET',
  target: '/auth',
  version: '1.1',
  headers: [['Host', 'vestibule:4181']],
}
export const LINES: readonly Line[] = [
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
export const BODIES: readonly NonNullable<SentRequest['body']>[] = [
  { framing: 'length', bytes: 0 },
  { framing: 'length', bytes: 40 },
  { framing: 'length', bytes: 16_384 },
  { framing: 'length', bytes: 20_000 },
  { framing: 'chunked', bytes: 40 },
]
