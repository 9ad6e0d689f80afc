import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { type Behaviour, faults } from '../support/provider.ts'
import { APP } from '../support/relying-party.ts'
import { LOGOUT } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit } from '../support/visitor.ts'

const KEY = randomBytes(32).toString('base64')
const party = useParty({ LOG_LEVEL: 'trace', SESSION_ENCRYPTION_KEY: KEY })
const secrets = new Map([
  ['encryption key', KEY],
  ['e-mail address', 'alice@example.com'],
  ['encoded e-mail address', 'alice%40example.com'],
  ['name', 'Liddell'],
  ['subject', 'alice'],
])

beforeAll(() => {
  const { clientSecret } = party.provider
  secrets.set('client secret', clientSecret)
  secrets.set('client secret as sent', encodeURIComponent(clientSecret))
})

const IN_URLS = ['code', 'state', 'nonce', 'code_challenge', 'id_token_hint']

function rememberVisit({ url, location, setCookies }: Visit): void {
  for (const address of [url, location].flatMap((text) => (text ? [new URL(text)] : []))) {
    for (const name of IN_URLS) remember(name, address.searchParams.get(name))
  }

  for (const line of setCookies) {
    const value = line.slice(line.indexOf('=') + 1, line.indexOf(';'))
    remember('cookie', value)
    for (const part of value.split('.')) remember('cookie part', part)
  }
}

function remember(name: string, value: string | null): void {
  if (value && value.length > 10) secrets.set(name, value)
}

function rememberTokens(): void {
  party.replaceIdToken((token, answer) => {
    for (const name of ['access_token', 'refresh_token', 'id_token']) {
      secrets.set(name, String(answer[name]))
    }
    secrets.set('signature', token.split('.')[2] ?? token)
    return token
  })
}

function expectNothingLeaked(text: string): void {
  expect(secrets.size).toBeGreaterThan(12)
  for (const [name, secret] of secrets) {
    expect(text.includes(secret), `the ${name} is in the output`).toBe(false)
  }
}

const ESC = '\x1b[2J\x1b[31m'

test('a whole sign-in, its use and the sign-out leave no secret in the log', async () => {
  rememberTokens()
  const { browser, isSignedIn } = await party.attempt()
  expect(isSignedIn).toBe(true)
  await browser.get(`${APP}/oauth2/me`)
  await browser.post(LOGOUT)
  browser.trail.forEach(rememberVisit)
  const events = () => party.vestibule.log().map((line) => line['event'])
  await expect.poll(events).toContain('sign_out')
  expect(events()).toContain('sign_in')
  for (const name of ['code', 'state', 'nonce', 'cookie', 'id_token', 'id_token_hint']) {
    expect(secrets.has(name), `no ${name} was seen`).toBe(true)
  }
  expectNothingLeaked(party.vestibule.output())
})

test.for<[string, () => Promise<unknown>]>([
  ['a wrong code', () => visitCallback((query) => query.set('code', 'wrong'))],
  ['a wrong state', () => visitCallback((query) => query.set('state', 'x'))],
  ['a wrong issuer', () => visitCallback((query) => query.set('iss', 'x'))],
  ['a doubled state', () => visitCallback((query) => query.append('state', 'x'))],
  ['no code', () => visitCallback((query) => query.delete('code'))],
  ['the token endpoint says no', () => visitWhile(faults.invalidGrant)],
  ['the token endpoint is down', () => visitWhile(faults.down)],
  ['the token endpoint talks HTML', () => visitWhile(faults.html)],
  ['the token endpoint is cut off', () => visitWhile(faults.truncatedJson)],
  ['the token endpoint fails', () => visitWhile(faults.serverError)],
  ['the ID token is forged', () => visitForged()],
])('a failure leaves no secret in the log, and one line: %s', async ([, fail]) => {
  rememberTokens()
  const before = party.vestibule.log().length
  await fail()
  await expect.poll(() => party.vestibule.log().length - before).toBe(1)
  expectNothingLeaked(party.vestibule.output())
})

test('the input of a stranger makes no further lines and no control characters', async () => {
  const { check, visitor } = party
  const browser = visitor()
  const marks = ['forged-line', 'marker-ua', 'marker-path', 'marker-token', 'marker-error']
  await check(
    { uri: '/marker-path?access_token=marker-token' },
    {
      'User-Agent': `marker-ua ${ESC.replaceAll('\x1b', '%1b')}`,
      Referer: 'https://app.example.com/?code=marker-token',
      Authorization: 'Bearer marker-token',
      'X-Request-Id': 'forged-line","level":"fatal',
      traceparent: 'forged-line',
      Cookie: '__Host-vestibule=marker-token; a=marker-token',
    },
  )
  await check({ host: 'forged-line@evil.example/?code=marker-token' })
  await check({ uri: 'not-a-path-marker-path' })
  await check({ method: 'marker-path' })
  await check({}, { "X'Auth'Request'User": 'marker-token' })
  const lines = encodeURIComponent(`"}\r\n{"level":"fatal","event":"forged-line"}\n${ESC}`)
  for (const path of [
    `login?rd=${lines}`,
    `callback?error=${lines}&error_description=marker-error`,
    `callback?error=access_denied&error_description=${lines}`,
    `callback?state=${lines}&code=${lines}`,
    lines,
    'me?token=marker-token',
  ])
    await browser.get(`${APP}/oauth2/${path}`)
  const { callbackUrl, browser: second } = await party.untilCallback()
  const refused = new URL(callbackUrl)
  refused.searchParams.delete('code')
  refused.searchParams.set('error', `said\r\n${ESC}`)
  refused.searchParams.set('error_description', `alice@example.com ${ESC}`)
  expect((await second.get(refused.href)).status).toBe(400)
  const output = party.vestibule.output()
  for (const mark of marks) expect(output).not.toContain(mark)
  expect(output).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]/)
  const written = output.trimEnd().split('\n')
  expect(written.map((line) => typeof JSON.parse(line)).every((is) => is === 'object')).toBe(true)
  expect(written).toHaveLength(party.vestibule.log().length)
})

test('a request id of a usable form is logged, so that lines can be found', async () => {
  const headers = { 'X-Request-Id': 'req-0123456789', Accept: '*/*' }
  const refuse = () => party.check({ host: 'elsewhere.example' }, headers)
  expect((await refuse()).headers['x-request-id']).toBe('req-0123456789')
  // The line may be left out behind those of the tests before.
  await expect
    .poll(async () => refuse().then(party.vestibule.log))
    .toContainEqual(expect.objectContaining({ event: 'refused', request_id: 'req-0123456789' }))
})

test('metrics have the same series however many hosts, paths and methods are tried', async () => {
  const series = async () => {
    const { body } = await party.vestibule.internal('/metrics')
    // Node's own series of garbage collection and of open handles appear when there is some.
    const lines = body
      .split('\n')
      .filter((line) => line && !/^#|^vestibule_nodejs_(?:gc|active)_/.test(line))
    return lines.map((line) => line.slice(0, line.lastIndexOf(' ')))
  }
  const hammer = (from: number) =>
    Promise.all(
      Array.from({ length: 40 }, (_, index) => {
        const n = from + index
        const host = n % 2 ? `h${n}.evil.example` : 'app.example.com'
        const headers = { 'User-Agent': `agent-${n}`, 'X-Request-Id': `request-${n}` }
        return party.check({ host, uri: `/p${n}`, method: `METHOD-${n}` }, headers)
      }),
    )
  await hammer(0)
  const before = await series()
  await hammer(1000)
  const after = await series()
  expect(after).toEqual(before)
  const values = [...after.join('\n').matchAll(/="([^"]*)"/g)].map(([, value = '']) => value)
  expect(values.filter((value) => /evil|agent-|request-|METHOD|app\.example/.test(value))).toEqual(
    [],
  )
  expectNothingLeaked(after.join('\n'))
  expect(after.some((line) => line.startsWith('vestibule_foreign_hosts_refused_total'))).toBe(true)
})

async function visitCallback(change: (query: URLSearchParams) => void): Promise<void> {
  const { browser, callbackUrl } = await party.untilCallback()
  const url = new URL(callbackUrl)
  change(url.searchParams)
  const visit = await browser.get(url.href)
  browser.trail.forEach(rememberVisit)
  expect(visit.status).toBeGreaterThanOrEqual(400)
}

function visitWhile(behaviour: Behaviour): Promise<void> {
  party.provider.set('token', behaviour)
  return visitCallback(() => undefined)
}

function visitForged(): Promise<void> {
  party.provider.tamperIdToken({}, { as: 'stranger' })
  return visitCallback(() => undefined)
}
