import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visit, type Visitor } from '../support/visitor.ts'

const SESSION_ENCRYPTION_KEY = randomBytes(32).toString('base64')
const BINDING = '__Host-vestibule_login'
const TARGET = '__Host-vestibule_target'
const LONG = `/${'long/'.repeat(150)}`

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty({ SESSION_ENCRYPTION_KEY })
})
afterAll(() => party[Symbol.asyncDispose]())

interface AtCallback {
  readonly browser: Visitor
  readonly url: URL
}

/** A browser whose user has just signed in at the provider and is about to come back. */
const untilCallback = async (
  rd: string,
  vestibule: RunningVestibule = party.vestibule,
): Promise<AtCallback> => {
  const browser = vestibule.visitor()
  const page = await browser.browse(`${APP}/oauth2/login?rd=${encodeURIComponent(rd)}`)
  let visit = await browser.post(page.url, { login: 'alice' })
  while (visit.location && !visit.location.startsWith(`${APP}/oauth2/callback`)) {
    visit = await browser.get(visit.location)
  }
  return { browser, url: new URL(visit.location ?? '') }
}

const withState = (url: URL, state: string): string => {
  const changed = new URL(url)
  changed.searchParams.set('state', state)
  return changed.href
}

const expectRefused = (visit: Visit, targets: readonly string[] = []): void => {
  expect(visit.status).toBe(400)
  expect(visit.headers.location).toBeUndefined()
  expect(visit.setCookies).toEqual([])
  expect(visit.headers['cache-control']).toBe('no-store')
  for (const target of ['evil', ...targets]) expect(visit.body).not.toContain(target)
}

const flip = (text: string, at: number): string => {
  const bytes = Buffer.from(text, 'base64url')
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes.toString('base64url')
}

describe('A48 the target inside state', () => {
  test('state is short and says nothing of the target to the provider', async () => {
    const { url } = await untilCallback('/secret-project?token=abc')
    const state = url.searchParams.get('state') ?? ''
    expect(state.length).toBeLessThanOrEqual(900)
    expect(state).toMatch(/^[A-Za-z0-9_-]+$/)
    const decoded = Buffer.from(state, 'base64url').toString('latin1')
    for (const word of ['secret', 'token', 'app.example.com', 'https']) {
      expect(decoded).not.toContain(word)
      expect(url.href.replace(APP, '')).not.toContain(word)
    }
  })

  test('a state with any one bit turned is refused, and the right one still works after them', async () => {
    const { browser, url } = await untilCallback('/target')
    const state = url.searchParams.get('state') ?? ''
    party.provider.forgetRequests()
    const { length } = Buffer.from(state, 'base64url')
    for (let at = 0; at < length; at += 1) {
      expectRefused(await browser.copy().get(withState(url, flip(state, at))), ['/target'])
    }
    expect(party.provider.count('token')).toBe(0)
    const answer = await browser.get(url.href)
    expect([answer.status, answer.headers.location]).toEqual([302, `${APP}/target`])
  })

  const forgeries: readonly (readonly [string, (state: string) => string])[] = [
    ['the target in clear', () => 'https://evil.example/'],
    ['the target behind a nonce', () => `${randomBytes(16).toString('hex')}:https://evil.example/`],
    ['the target in base64', () => Buffer.from('https://evil.example/').toString('base64url')],
    ['the target as JSON', () => Buffer.from('{"rd":"//evil.example"}').toString('base64url')],
    ['the target behind the state', (state) => `${state}${btoa('//evil.example')}`],
    ['the target behind the state in clear', (state) => `${state}://evil.example`],
    ['the state without its end', (state) => state.slice(0, -4)],
    ['the state without its beginning', (state) => state.slice(4)],
    ['the state twice', (state) => state + state],
    ['the state in capitals', (state) => state.toUpperCase()],
    ['one character', () => 'A'],
    ['nothing', () => ''],
    ['random bytes of the same length', (state) => randomBytes(state.length).toString('base64url')],
    ['100 KB', () => 'A'.repeat(30_000)],
    ['__proto__', () => '__proto__'],
  ]

  test.for(forgeries)('a state made by hand is refused: %s', async ([, forge]) => {
    const { browser, url } = await untilCallback('/target')
    party.provider.forgetRequests()
    const forged = forge(url.searchParams.get('state') ?? '')
    expectRefused(await browser.get(withState(url, forged)), ['/target'])
    expect(party.provider.count('token')).toBe(0)
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test.for<[string, (state: string) => string]>([
    ['padding', (state) => `${state}==`],
    ['NUL and line breaks behind it', (state) => `${state}\0\r\n`],
    ['blanks inside', (state) => `${state.slice(0, 9)} \t${state.slice(9)}`],
    ['the other alphabet', (state) => state.replaceAll('-', '+').replaceAll('_', '/')],
  ])('a state in which base64 is written otherwise leads nowhere else: %s', async ([, write]) => {
    const { browser, url } = await untilCallback('/target')
    const rewritten = withState(url, write(url.searchParams.get('state') ?? ''))
    const answer = await browser.get(rewritten)
    if (answer.status !== 302) return expectRefused(answer)
    expect(answer.headers.location).toBe(`${APP}/target`)
    const spent = await browser.copy().get(rewritten)
    expect(spent.setCookies.filter((line) => line.startsWith('__Host-vestibule='))).toEqual([])
  })

  test('the state of another browser is refused', async () => {
    const mine = await untilCallback('/mine')
    const theirs = await untilCallback('/theirs')
    const state = theirs.url.searchParams.get('state') ?? ''
    expectRefused(await mine.browser.get(withState(mine.url, state)), ['/theirs'])
    expectRefused(await mine.browser.get(theirs.url.href), ['/theirs'])
    const answer = await mine.browser.get(mine.url.href)
    expect(answer.headers.location).toBe(`${APP}/mine`)
  })

  test('the state of another host is refused there', async () => {
    const { browser, url } = await untilCallback('/target')
    const binding = browser.cookies.find(BINDING)
    const elsewhere = url.href.replace('app.example.com', 'other.example.com')
    const answer = await party.vestibule.visitor().get(elsewhere, {
      headers: { Cookie: `${BINDING}=${binding?.value}` },
    })
    expectRefused(answer)
  })

  test('the state of an earlier sign-in of the same browser does not fit another code', async () => {
    const browser = party.vestibule.visitor()
    const first = await browser.get(`${APP}/oauth2/login?rd=/first`)
    const firstState = new URL(first.location ?? '').searchParams.get('state') ?? ''
    const page = await browser.browse(`${APP}/oauth2/login?rd=/second`)
    let visit = await browser.post(page.url, { login: 'alice' })
    while (visit.location && !visit.location.startsWith(`${APP}/oauth2/callback`)) {
      visit = await browser.get(visit.location)
    }
    const answer = await browser.get(withState(new URL(visit.location ?? ''), firstState))
    expectRefused(answer)
  })

  test('a long target travels in a sealed cookie and is kept', async () => {
    const { browser, url } = await untilCallback(LONG)
    const cookie = browser.cookies.find(TARGET)?.value ?? ''
    expect(Buffer.from(cookie, 'base64url').toString('latin1')).not.toContain('long')
    expect(url.searchParams.get('state')?.length).toBeLessThanOrEqual(900)
    const answer = await browser.get(url.href)
    expect(answer.headers.location).toBe(`${APP}${LONG}`)
    expect(browser.cookies.find(TARGET)).toBeUndefined()
  })

  const tampered: readonly (readonly [string, (value: string) => string | Promise<string>])[] = [
    ['a target in clear', () => 'https://evil.example/'],
    ['a target in base64', () => Buffer.from('https://evil.example/').toString('base64url')],
    ['one bit turned', (value) => flip(value, 40)],
    ['the last bit turned', (value) => flip(value, Buffer.from(value, 'base64url').length - 1)],
    ['cut', (value) => value.slice(0, 60)],
    ['empty', () => ''],
    [
      'the cookie of another browser',
      async () => {
        const { browser } = await untilCallback(`${LONG}theirs`)
        return browser.cookies.find(TARGET)?.value ?? ''
      },
    ],
    [
      'the state of another sign-in',
      async () => {
        const { url } = await untilCallback('/theirs')
        return url.searchParams.get('state') ?? ''
      },
    ],
  ]

  test.for(tampered)(
    'with another target cookie the sign-in ends at the root: %s',
    async ([, change], { expect }) => {
      const { browser, url } = await untilCallback(LONG)
      const cookie = browser.cookies.find(TARGET)
      if (!cookie) throw new Error('no target cookie')
      browser.cookies.put({ ...cookie, value: await change(cookie.value) })
      const answer = await browser.get(url.href)
      expect([answer.status, answer.headers.location]).toEqual([302, `${APP}/`])
    },
  )

  test('the target cookie of a later sign-in is not taken for an earlier one', async () => {
    const { browser, url } = await untilCallback(`${LONG}first`)
    await browser.get(`${APP}/oauth2/login?rd=${encodeURIComponent(`${LONG}second`)}`)
    const answer = await browser.get(url.href)
    expect(answer.headers.location).toBe(`${APP}/`)
  })

  test('a target that configuration no longer allows is not followed at the callback', async () => {
    const { browser, url } = await untilCallback('https://other.example.com/x')
    await using narrower = await startVestibule({
      SESSION_ENCRYPTION_KEY,
      OIDC_ISSUER_URL: party.provider.issuer,
      OIDC_CLIENT_ID: party.provider.clientId,
      OIDC_CLIENT_SECRET: party.provider.clientSecret,
      PROTECTED_HOSTS: 'app.example.com',
    })
    const moved = createVisitor({
      cookies: browser.cookies,
      connectTo: { 'app.example.com': `http://127.0.0.1:${narrower.publicPort}` },
    })
    const answer = await moved.get(url.href)
    expect([answer.status, answer.headers.location]).toEqual([302, `${APP}/`])
  })

  test('the same target is followed while configuration allows it', async () => {
    const { browser, url } = await untilCallback('https://other.example.com/x')
    const answer = await browser.get(url.href)
    expect([answer.status, answer.headers.location]).toEqual([302, 'https://other.example.com/x'])
  })

  test('a state sealed with another key is refused', async () => {
    await using stranger = await startVestibule({
      OIDC_ISSUER_URL: party.provider.issuer,
      OIDC_CLIENT_ID: party.provider.clientId,
      OIDC_CLIENT_SECRET: party.provider.clientSecret,
    })
    const { browser, url } = await untilCallback('/target', stranger)
    const here = createVisitor({
      cookies: browser.cookies,
      connectTo: { 'app.example.com': `http://127.0.0.1:${party.vestibule.publicPort}` },
    })
    expectRefused(await here.get(url.href), ['/target'])
  })
})
