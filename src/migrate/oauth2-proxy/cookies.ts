import { become, type Reading, tell } from './reading.ts'

const WEEK_SECONDS = 7 * 86_400
const SHORTEST_SECONDS = 60
const LONGEST_SECONDS = 31_536_000

/** Reads the cookie and how long a session lasts. */
export function readCookies(reading: Reading): void {
  readLifetime(reading)
  readName(reading)
  readSameSite(reading)
  const { values } = reading
  const isPlain = !values.isOn('cookie-secure', true)
  tell(
    reading,
    'cookie-secure',
    isPlain ? 'stricter' : 'carried',
    'the cookie is `Secure` for each https host',
  )
  tell(
    reading,
    'cookie-httponly',
    values.isOn('cookie-httponly', true) ? 'carried' : 'stricter',
    'the cookie is `HttpOnly`',
  )
  tell(
    reading,
    'cookie-path',
    values.text('cookie-path') === '/' ? 'carried' : 'differs',
    'the cookie is for all paths of a host',
  )
  const key = 'a new key is in `secrets/session-encryption-key`, the same for every replica'
  tell(reading, 'cookie-secret', 'dropped', key)
  tell(reading, 'cookie-secret-file', 'dropped', key)
  for (const name of [
    'cookie-csrf-per-request',
    'cookie-csrf-per-request-limit',
    'cookie-csrf-expire',
    'cookie-csrf-samesite',
    'encode-state',
  ])
    tell(reading, name, 'dropped', 'one small cookie serves all sign-ins of a browser at once')
  tell(reading, 'session-cookie-minimal', 'dropped', 'the cookie holds no tokens')
}

function readLifetime(reading: Reading): void {
  const { values, draft } = reading
  const given = values.seconds('cookie-expire', WEEK_SECONDS)
  if (given === 0) {
    draft.set('COOKIE_PERSISTENT', false)
    tell(
      reading,
      'cookie-expire',
      'stricter',
      'the cookie ends with the browser, by `COOKIE_PERSISTENT=false`, and the session after a day at the latest: see `SESSION_MAX_AGE`',
    )
  } else {
    const seconds = Math.min(Math.max(Math.round(given), SHORTEST_SECONDS), LONGEST_SECONDS)
    draft.set('SESSION_MAX_AGE', seconds)
    draft.note(
      'carried',
      values.label('cookie-expire'),
      values.has('cookie-expire')
        ? `is \`SESSION_MAX_AGE=${seconds}\`, in seconds from the sign-in`
        : 'was not given: `SESSION_MAX_AGE` is its default, a week',
    )
  }
  const refreshes = values.seconds('cookie-refresh', 0) > 0
  tell(
    reading,
    'cookie-refresh',
    refreshes ? 'stricter' : 'carried',
    refreshes
      ? 'tokens are renewed before they end, and a session whose renewal the provider refuses ends; a renewal no longer begins the lifetime anew'
      : 'is off; here tokens are renewed before they end, where the provider gives a refresh token',
  )
}

function readName(reading: Reading): void {
  const { values, draft } = reading
  const given = values.text('cookie-name')?.replace(/^__(?:Host|Secure)-/, '')
  const isHttp = values.text('redirect-url')?.startsWith('http://')
  if (
    given !== undefined &&
    /^[a-z0-9_-]{1,40}$/i.test(given) &&
    !given.startsWith('__') &&
    !isHttp
  ) {
    become(reading, 'cookie-name', 'COOKIE_NAME', given)
    tell(reading, 'cookie-name', 'differs', '`__Host-` or `__Secure-` stands before it')
    return
  }
  const text =
    'the cookie is called `__Host-vestibule`, or `__Secure-vestibule` where hosts share it, so both services can run for one browser'
  if (given === undefined) draft.note('differs', values.label('cookie-name'), text)
  else tell(reading, 'cookie-name', 'differs', text)
}

function readSameSite(reading: Reading): void {
  const { values } = reading
  const sameSite = values.text('cookie-samesite')
  if (sameSite === 'none' || sameSite === 'strict')
    become(reading, 'cookie-samesite', 'COOKIE_SAMESITE', sameSite)
  else tell(reading, 'cookie-samesite', 'carried', '`lax` is the default here')
}
