/** Headers as pairs, since `Set-Cookie` may occur several times. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

/** What every answer that is no 200 of the check carries. */
const COMMON: HeaderList = [
  ['Cache-Control', 'no-store'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Vary', 'Cookie, Authorization'],
]

/** A short answer in plain text, or none at all. */
export function plain(status: number, text: string | null = null): Response {
  return answer(status, text, [])
}

/** A refusal or a report for programs. */
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

/** A redirect; `location` is absolute, since Traefik would resolve a relative one against our internal address. */
export function redirect(status: 302 | 303, location: string, extra: HeaderList = []): Response {
  const headers: HeaderList = [
    ['Location', location],
    ['Referrer-Policy', 'same-origin'],
  ]
  return answer(status, null, [...headers, ...extra])
}

/** Any answer with a body; later headers replace earlier ones. */
export function answer(status: number, body: string | null, extra: HeaderList): Response {
  const headers = new Headers()
  for (const [name, value] of [...COMMON, ...extra]) {
    if (name === 'Set-Cookie') headers.append(name, value)
    else headers.set(name, value)
  }
  return new Response(body, { status, headers })
}

/** `Set-Cookie` headers, ready to be added to an answer. */
export function settingCookies(...cookies: readonly string[]): HeaderList {
  return cookies.map((cookie) => ['Set-Cookie', cookie] as const)
}
