import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { forwardedNavigation } from '../support/request-pool.ts'
import {
  cookieHeader,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { raw } from '../support/visitor.ts'

let party: RelyingParty
let session: string

beforeAll(async () => {
  party = await startRelyingParty()
  session = `${SESSION_COOKIE}=${(await party.attempt()).browser.cookies.find(SESSION_COOKIE)?.value}`
})
afterAll(() => party[Symbol.asyncDispose]())

interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly text: string
}

const ask = async (port: number, lines: readonly string[]): Promise<RawAnswer> => {
  const text = await raw(port, `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`)
  const [head = ''] = text.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head, text }
}

const check = (...cookies: readonly string[]): Promise<RawAnswer> =>
  ask(party.vestibule.internalPort, [
    'GET /auth HTTP/1.1',
    'Host: vestibule',
    ...Object.entries(forwardedNavigation).map(([name, value]) => `${name}: ${value}`),
    ...cookies.map((cookie) => `Cookie: ${cookie}`),
  ])

const callMe = (cookie: string): Promise<RawAnswer> =>
  ask(party.vestibule.publicPort, [
    'GET /oauth2/me HTTP/1.1',
    'Host: app.example.com',
    `Cookie: ${cookie}`,
  ])

const many = (count: number, bytes: number): string =>
  Array.from({ length: count }, (_, at) => `app${at}=${'x'.repeat(bytes)}`).join('; ')

const KIB = 1024

describe('A76 oversized and many cookies', () => {
  test.for<[string, string]>([
    ['200 small ones', many(200, 10)],
    ['2000 tiny ones', many(2000, 1)],
    ['20 KB, above Node’s own limit', many(5, 4 * KIB)],
    ['60 KB', many(15, 4 * KIB)],
    ['one of 60 KB', many(1, 60 * KIB)],
  ])(
    'a user whose app has big cookies passes, and the app gets them all: %s',
    async ([, cookies]) => {
      for (const line of [`${session}; ${cookies}`, `${cookies}; ${session}`]) {
        const { status, head } = await check(line)
        expect(status).toBe(200)
        expect(head).toMatch(/^x-auth-request-user: alice\r?$/im)
        expect(/^cookie: (.*)\r?$/im.exec(head)?.[1]?.trimEnd()).toBe(cookies)
        expect(await callMe(line)).toMatchObject({ status: 200 })
      }
    },
  )

  test.for<[string, number]>([
    ['70 KB', 70],
    ['200 KB', 200],
    ['1 MB', KIB],
  ])('beyond the limit the answer is 431: %s', async ([, kib]) => {
    for (const cookies of [many(1, kib * KIB), many(kib / 2, 2 * KIB)]) {
      // What is still being sent when the answer comes may break the connection instead.
      const answers = await Promise.allSettled([
        check(`${session}; ${cookies}`),
        callMe(`${session}; ${cookies}`),
      ])
      for (const answer of answers) {
        if (answer.status === 'fulfilled') expect(answer.value.status).toBe(431)
        else expect(String(answer.reason)).toMatch(/EPIPE|ECONNRESET/)
      }
    }
    expect((await check(session)).status).toBe(200)
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test.for<[string, string]>([
    ['4097 bytes', 'x'.repeat(4097)],
    ['50 KB', 'x'.repeat(50 * KIB)],
    ['the right value and more', `\${session}${'x'.repeat(5000)}`],
    ['dots', '.'.repeat(20_000)],
    ['v1 and dots', `v1${'.'.repeat(20_000)}`],
    ['v1 and a long id', `v1.${'A'.repeat(20_000)}.${'A'.repeat(43)}`],
  ])('our own cookie oversized is none: %s', async ([, value]) => {
    const filled = value.replace('${session}', session.slice(SESSION_COOKIE.length + 1))
    const { status, head, text } = await check(`${SESSION_COOKIE}=${filled}`)
    expect(status).toBe(302)
    expect(head).not.toMatch(/^set-cookie:/im)
    expect(text).not.toContain('xxxxx')
  })

  test.for(['_0', '_1', '_2', '.0', '0', '[0]', '-chunks', 'C1'])(
    'there are no chunks: %s',
    async (suffix) => {
      const value = session.slice(SESSION_COOKIE.length + 1)
      const half = Math.ceil(value.length / 2)
      const cookie = [
        `${SESSION_COOKIE}${suffix}=${value.slice(0, half)}`,
        `${SESSION_COOKIE}${suffix.replace('0', '1')}x=${value.slice(half)}`,
        `${SESSION_COOKIE}-chunks=100000000`,
        `${SESSION_COOKIE}=chunks:2`,
      ].join('; ')
      expect((await check(cookie)).status).toBe(302)
      expect((await check(`${SESSION_COOKIE}${suffix}=9; ${session}`)).status).toBe(200)
    },
  )

  test('60 KB of names like ours are no cookie of ours', async () => {
    const lines = [
      SESSION_COOKIE.repeat(3500),
      `${SESSION_COOKIE};`.repeat(3000),
      `x${SESSION_COOKIE}=1;`.repeat(2900),
      ` ${' '.repeat(55_000)}${SESSION_COOKIE}`,
      `${SESSION_COOKIE}${' '.repeat(55_000)}`,
      ';'.repeat(55_000),
      `${SESSION_COOKIE} \t`.repeat(3000),
    ]
    for (const line of lines) {
      expect((await check(line)).status).toBe(302)
    }
  })

  test('all cookies of ours together stay below 3.5 KB, each below 4096 bytes', async () => {
    const browser = party.vestibule.visitor()
    const callback = await untilCallback(browser, `${APP}/${'x'.repeat(2000)}`)
    await browser.get(callback)
    await startLogin(browser, `${APP}/${'y'.repeat(2000)}`)
    const lines = browser.trail.flatMap(({ setCookies, url }) =>
      url.startsWith(APP) ? setCookies : [],
    )
    expect(lines.length).toBeGreaterThan(3)
    for (const line of lines) expect(line.length).toBeLessThan(4096)
    expect(cookieHeader(browser)?.length).toBeLessThan(3500)
    const value = browser.cookies.find(SESSION_COOKIE)?.value ?? ''
    expect(value.length).toBeLessThan(150)
    expect((await check(cookieHeader(browser) ?? '')).status).toBe(200)
  })
})
