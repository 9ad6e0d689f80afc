import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visit, type Visitor } from '../support/visitor.ts'

const SESSION_ENCRYPTION_KEY = randomBytes(32).toString('base64')
const LONG = `/${'long/'.repeat(150)}`

const party = useParty({ SESSION_ENCRYPTION_KEY })

/** A browser whose user has just signed in at the provider and is about to come back. */
async function atCallback(rd: string, { visitor } = party.vestibule) {
  const browser = visitor()
  const url = new URL(await steps.untilCallback(browser, rd))
  return { browser, url, state: url.searchParams.get('state') ?? '' }
}

const client = () => ({
  OIDC_ISSUER_URL: party.provider.issuer,
  OIDC_CLIENT_ID: party.provider.clientId,
  OIDC_CLIENT_SECRET: party.provider.clientSecret,
})

async function targetCookieOfAnother(): Promise<string> {
  const { browser } = await atCallback(`${LONG}theirs`)
  return browser.cookies.find(steps.TARGET_COOKIE)?.value ?? ''
}

function expectRefused(visit: Visit, targets: readonly string[] = []): void {
  expect(visit).toMatchObject({ status: 400, setCookies: [], location: undefined })
  expect(visit.headers['cache-control']).toBe('no-store')
  for (const target of ['evil', ...targets]) expect(visit.body).not.toContain(target)
}

function expectEnd({ status, headers }: Visit, target: string): void {
  expect([status, headers.location]).toEqual([302, target])
}

/** The same cookies at another replica, which answers at `app.example.com`. */
function movedTo({ publicPort }: RunningVestibule, { cookies }: Visitor): Visitor {
  return createVisitor({
    cookies,
    connectTo: { 'app.example.com': `http://127.0.0.1:${publicPort}` },
  })
}

function flip(text: string, at: number): string {
  const bytes = Buffer.from(text, 'base64url')
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes.toString('base64url')
}

test('state is short and says nothing of the target or the binding to the provider (A53)', async () => {
  const { browser, url, state } = await atCallback('/secret-project?token=abc')
  const [, binding = ''] = browser.cookies.find(steps.BINDING_COOKIE)?.value.split('.') ?? []
  expect(binding).toHaveLength(43)
  expect(state.length).toBeLessThanOrEqual(900)
  expect(state).toMatch(/^[A-Za-z0-9_-]+$/)
  const decoded = Buffer.from(state, 'base64url').toString('latin1')
  for (const word of ['secret', 'token', 'app.example.com', 'https', binding]) {
    expect(decoded).not.toContain(word)
    expect(url.href.replace(APP, '')).not.toContain(word)
  }
})

test('a state with any one bit turned is refused (A52), and the right one still works after them', async () => {
  const { browser, url, state } = await atCallback('/target')
  party.provider.forgetRequests()
  for (let at = 0; at < Buffer.from(state, 'base64url').length; at += 1) {
    const turned = steps.withQuery(url.href, { state: flip(state, at) })
    expectRefused(await browser.copy().get(turned), ['/target'])
  }
  expect(party.provider.count('token')).toBe(0)
  expectEnd(await browser.get(url.href), `${APP}/target`)
})

const forgeries: readonly (readonly [string, (state: string) => string])[] = [
  ['the target in clear', () => 'https://evil.example/'],
  ['the target behind a nonce', () => `${randomBytes(16).toString('hex')}:https://evil.example/`],
  ['the target in base64', () => Buffer.from('https://evil.example/').toString('base64url')],
  ['the target as JSON', () => Buffer.from('{"rd":"//evil.example"}').toString('base64url')],
  ['the target behind the state', (state) => `${state}${btoa('//evil.example')}`],
  ['the target behind the state in clear', (state) => `${state}://evil.example`],
  ['one character', () => 'A'],
  ['nothing', () => ''],
  ['random bytes of the same length', (state) => randomBytes(state.length).toString('base64url')],
  ['100 KB', () => 'A'.repeat(30_000)],
  ['__proto__', () => '__proto__'],
]

test.for(forgeries)('a state made by hand is refused: %s', async ([, forge]) => {
  const { browser, url, state } = await atCallback('/target')
  party.provider.forgetRequests()
  expectRefused(await browser.get(steps.withQuery(url.href, { state: forge(state) })), ['/target'])
  expect(party.provider.count('token')).toBe(0)
})

test.for<[string, (state: string) => string]>([
  ['padding', (state) => `${state}==`],
  ['NUL and line breaks behind it', (state) => `${state}\0\r\n`],
  ['blanks inside', (state) => `${state.slice(0, 9)} \t${state.slice(9)}`],
  ['the other alphabet', (state) => state.replaceAll('-', '+').replaceAll('_', '/')],
])('a state in which base64 is written otherwise leads nowhere else: %s', async ([, write]) => {
  const { browser, url, state } = await atCallback('/target')
  const rewritten = steps.withQuery(url.href, { state: write(state) })
  const answer = await browser.get(rewritten)
  if (answer.status !== 302) return expectRefused(answer)
  expect(answer.headers.location).toBe(`${APP}/target`)
  const spent = await browser.copy().get(rewritten)
  expect(spent.setCookies.filter((line) => line.startsWith('__Host-vestibule='))).toEqual([])
})

test('a long target travels in a sealed cookie and is kept', async () => {
  const { browser, url, state } = await atCallback(LONG)
  const cookie = browser.cookies.find(steps.TARGET_COOKIE)?.value ?? ''
  expect(Buffer.from(cookie, 'base64url').toString('latin1')).not.toContain('long')
  expect(state.length).toBeLessThanOrEqual(900)
  expectEnd(await browser.get(url.href), `${APP}${LONG}`)
  expect(browser.cookies.find(steps.TARGET_COOKIE)).toBeUndefined()
})

const tampered: readonly (readonly [string, (value: string) => string | Promise<string>])[] = [
  ['a target in clear', () => 'https://evil.example/'],
  ['a target in base64', () => Buffer.from('https://evil.example/').toString('base64url')],
  ['one bit turned', (value) => flip(value, 40)],
  ['the last bit turned', (value) => flip(value, Buffer.from(value, 'base64url').length - 1)],
  ['cut', (value) => value.slice(0, 60)],
  ['empty', () => ''],
  ['the cookie of another browser', () => targetCookieOfAnother()],
  ['the state of another sign-in', async () => (await atCallback('/theirs')).state],
]

test.for(tampered)('another target cookie leads to the root: %s', async ([, change]) => {
  const { browser, url } = await atCallback(LONG)
  const cookie = browser.cookies.find(steps.TARGET_COOKIE)
  if (!cookie) throw new Error('no target cookie')
  browser.cookies.put({ ...cookie, value: await change(cookie.value) })
  expectEnd(await browser.get(url.href), `${APP}/`)
})

test('the target cookie of a later sign-in is not taken for an earlier one', async () => {
  const { browser, url } = await atCallback(`${LONG}first`)
  await steps.startLogin(browser, `${LONG}second`)
  expectEnd(await browser.get(url.href), `${APP}/`)
})

test('a target that configuration no longer allows is not followed at the callback', async () => {
  const { browser, url } = await atCallback('https://other.example.com/x')
  await using narrower = await startVestibule({
    ...client(),
    SESSION_ENCRYPTION_KEY,
    PROTECTED_HOSTS: 'app.example.com',
  })
  expectEnd(await movedTo(narrower, browser).get(url.href), `${APP}/`)
})

test('the same target is followed while configuration allows it', async () => {
  const { browser, url } = await atCallback('https://other.example.com/x')
  expectEnd(await browser.get(url.href), 'https://other.example.com/x')
})

test('a state sealed with another key is refused', async () => {
  await using stranger = await startVestibule(client())
  const { browser, url } = await atCallback('/target', stranger)
  expectRefused(await movedTo(party.vestibule, browser).get(url.href), ['/target'])
})
