/** Headers as pairs, since `Set-Cookie` may occur several times. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

/** Headers of every answer except a 200 of the check. */
const COMMON: HeaderList = [
  ['Cache-Control', 'no-store'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Vary', 'Cookie, Authorization'],
]

/** Returns an answer in plain text, or without a body. */
export function plain(status: number, text: string | null = null): Response {
  return answer(status, text, [])
}

/** Returns a JSON answer with its request id. */
export function json(
  status: number,
  body: Readonly<Record<string, unknown>>,
  requestId: string,
  extra: HeaderList = [],
): Response {
  const headers: HeaderList = [
    ['Content-Type', 'application/json'],
    ['X-Request-Id', requestId],
  ]
  return answer(status, JSON.stringify(body), [...headers, ...extra])
}

/** Returns a redirect to an absolute URL, because Traefik would resolve a relative one against our internal address. */
export function redirect(status: 302 | 303, location: string, extra: HeaderList = []): Response {
  const headers: HeaderList = [
    ['Location', location],
    ['Referrer-Policy', 'same-origin'],
  ]
  return answer(status, null, [...headers, ...extra])
}

/** Returns any answer; later headers replace earlier ones, except `Set-Cookie`, which is appended. */
export function answer(status: number, body: string | null, extra: HeaderList): Response {
  const list = [...COMMON, ...extra]
  const cookies = list.filter(([name]) => name === 'Set-Cookie').length
  // Writes a plain object where that is enough, because Hono's adapter would only take the `Headers` apart again.
  const isPlain = body === null && cookies <= 1
  return new Response(body, { status, headers: isPlain ? Object.fromEntries(list) : joined(list) })
}

function joined(list: HeaderList): Headers {
  const headers = new Headers()
  for (const [name, value] of list) {
    if (name === 'Set-Cookie') headers.append(name, value)
    else headers.set(name, value)
  }
  return headers
}

export function settingCookies(...cookies: readonly string[]): HeaderList {
  return cookies.map((cookie) => ['Set-Cookie', cookie] as const)
}
