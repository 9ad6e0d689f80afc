import {
  BODIES,
  EXTRAS,
  FOREIGN,
  LINES,
  ODD,
  PAGE,
  PLAIN_LINE,
  REFUSED,
  SCRIPT,
  SPOILS,
  STYLES,
} from './odd-headers.ts'
import { sessionCookie } from './sent-headers.ts'
import type { SentHeader, SentRequest, World } from './world.ts'

/** Returns requests with one odd thing at a time, each of the kinds above, and every credential in plain ones. */
export function simpleRequests(world: World): readonly SentRequest[] {
  const [first = ''] = world.sessions.keys()
  const cookie = (value: string): SentHeader => ['Cookie', `${sessionCookie(world)}=${value}`]
  const known: readonly SentHeader[] = [...PAGE, cookie(first)]
  const credentials = [
    ...[...world.sessions.keys(), ...world.invalidSessions].map((value) => [cookie(value)]),
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
