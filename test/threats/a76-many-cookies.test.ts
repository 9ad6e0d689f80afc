import { beforeAll, describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  cookieHeader,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { FORWARDED_LINES, type RawReply, sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const party = useParty()
let value: string
let session: string

beforeAll(async () => {
  value = await party.sessionOf()
  session = `${SESSION_COOKIE}=${value}`
})

function check(cookie: string): Promise<RawReply> {
  const lines = ['GET /auth HTTP/1.1', 'Host: vestibule', ...FORWARDED_LINES, `Cookie: ${cookie}`]
  return sendLines(party.vestibule.internalPort, ...lines)
}

function callMe(cookie: string): Promise<RawReply> {
  const lines = ['GET /oauth2/me HTTP/1.1', 'Host: app.example.com', `Cookie: ${cookie}`]
  return sendLines(party.vestibule.publicPort, ...lines)
}

function many(count: number, bytes: number): string {
  return Array.from({ length: count }, (_, at) => `app${at}=${'x'.repeat(bytes)}`).join('; ')
}

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
        const { status, header } = await check(line)
        expect([status, header('x-auth-request-user')]).toEqual([200, 'alice'])
        expect(header('cookie')?.trimEnd()).toBe(cookies)
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
      // An answer that comes while the request is still being sent may break the connection.
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
  })

  test.for<[string, (good: string) => string]>([
    ['4097 bytes', () => 'x'.repeat(4097)],
    ['50 KB', () => 'x'.repeat(50 * KIB)],
    ['the right value and more', (good) => `${good}${'x'.repeat(5000)}`],
    ['dots', () => '.'.repeat(20_000)],
    ['v1 and dots', () => `v1${'.'.repeat(20_000)}`],
    ['v1 and a long id', () => `v1.${'A'.repeat(20_000)}.${'A'.repeat(43)}`],
  ])('our own cookie oversized is none: %s', async ([, make]) => {
    const { status, head, text } = await check(`${SESSION_COOKIE}=${make(value)}`)
    expect(status).toBe(302)
    expect(head).not.toMatch(/^set-cookie:/im)
    expect(text).not.toContain('xxxxx')
  })

  test.for(words`
    _0 _1 _2 .0 0 [0] -chunks C1
  `)('there are no chunks: %s', async (suffix) => {
    const half = Math.ceil(value.length / 2)
    const cookie = [
      `${SESSION_COOKIE}${suffix}=${value.slice(0, half)}`,
      `${SESSION_COOKIE}${suffix.replace('0', '1')}x=${value.slice(half)}`,
      `${SESSION_COOKIE}-chunks=100000000`,
      `${SESSION_COOKIE}=chunks:2`,
    ].join('; ')
    expect((await check(cookie)).status).toBe(302)
    expect((await check(`${SESSION_COOKIE}${suffix}=9; ${session}`)).status).toBe(200)
  })

  test.for<[string, () => string]>([
    ['alone', () => SESSION_COOKIE.repeat(3500)],
    ['with a semicolon', () => `${SESSION_COOKIE};`.repeat(3000)],
    ['behind a letter', () => `x${SESSION_COOKIE}=1;`.repeat(2900)],
    ['behind blanks', () => ` ${' '.repeat(55_000)}${SESSION_COOKIE}`],
    ['before blanks', () => `${SESSION_COOKIE}${' '.repeat(55_000)}`],
    ['semicolons alone', () => ';'.repeat(55_000)],
    ['with blanks between', () => `${SESSION_COOKIE} \t`.repeat(3000)],
  ])('60 KB of names like ours are no cookie of ours: %s', async ([, make]) => {
    expect((await check(make())).status).toBe(302)
  })

  test('all cookies of ours together stay below 3.5 KB, each below 4096 bytes', async () => {
    const browser = party.visitor()
    await browser.get(await untilCallback(browser, `${APP}/${'x'.repeat(2000)}`))
    await startLogin(browser, `${APP}/${'y'.repeat(2000)}`)
    const ours = browser.trail.filter(({ url }) => url.startsWith(APP))
    const lines = ours.flatMap(({ setCookies }) => setCookies)
    expect(lines.length).toBeGreaterThan(3)
    for (const line of lines) expect(line.length).toBeLessThan(4096)
    expect(cookieHeader(browser)?.length).toBeLessThan(3500)
    expect(browser.cookies.find(SESSION_COOKIE)?.value.length).toBeLessThan(150)
    expect((await check(cookieHeader(browser) ?? '')).status).toBe(200)
  })
})
