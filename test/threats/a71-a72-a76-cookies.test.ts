import { expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectRefusal, readCounter } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { asScript, useParty } from '../support/used-party.ts'
import { FORWARDED_LINES, type RawReply, sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const party = useParty()
const alice = prepared(() => party.sessionOf('alice'))
const bob = prepared(() => party.sessionOf('bob'))

function pair(value: string): string {
  return `${steps.SESSION_COOKIE}=${value}`
}

const ambiguous: readonly (readonly [string, () => string | readonly string[]])[] = [
  ['the attacker’s first', () => `${pair(bob())}; a=1; ${pair(alice())}`],
  ['the attacker’s last', () => `${pair(alice())}; a=1; ${pair(bob())}`],
  ['made up beside real', () => `${pair('hostile')}; ${pair(alice())}`],
  ['real beside made up', () => `${pair(alice())}; ${pair('hostile')}`],
  ['an empty one first', () => `${pair('')}; ${pair(alice())}`],
  ['an empty one last', () => `${pair(alice())}; ${pair('')}`],
  ['three', () => `${pair(alice())}; ${pair(bob())}; ${pair(alice())}`],
  ['without blanks', () => `${pair(alice())};${pair(bob())}`],
  ['with blanks and tabs around', () => `${pair(alice())}; \t${steps.SESSION_COOKIE} =\t${bob()} `],
  ['in two headers', () => [pair(alice()), pair(bob())]],
  ['two hundred', () => Array.from({ length: 200 }, (_, at) => pair(`x${at}`)).join('; ')],
]

test.for(ambiguous)('A71: two sessions are none, and a page clears them: %s', async ([, make]) => {
  const before = await readCounter(party.vestibule, 'duplicate_cookies')
  const { headers, ...visit } = await party.check({}, { Cookie: make() })
  expect(visit).toMatchObject({
    status: 400,
    location: undefined,
    setCookies: [`${steps.SESSION_COOKIE}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`],
    body: expect.stringContaining(`href="${steps.LOGIN}?rd=`) as string,
  })
  expect(headers['x-auth-request-user']).toBeUndefined()
  expect(headers['content-type']).toMatch(/^text\/html/)
  expect(headers['cache-control']).toBe('no-store')
  const answer = visit.rawHeaders.join('\n') + visit.body
  for (const value of ['hostile', alice(), bob()]) expect(answer).not.toContain(value)
  expect(await readCounter(party.vestibule, 'duplicate_cookies')).toBe(before + 1)
})

test.for(ambiguous)('A71: a script gets 401 and keeps its cookies: %s', async ([, make]) => {
  const visit = await party.check({}, { Cookie: make(), ...asScript })
  expectRefusal(visit, 401, ['hostile', alice(), bob()])
})

test.for(ambiguous)('A71: /me names no user for two sessions: %s', async ([, make]) => {
  const visit = await party.get('/oauth2/me', { headers: { Cookie: make() } })
  expect(visit.status).toBe(401)
  expect(visit.body).not.toMatch(/alice|bob|hostile/)
})

test.for<[string, () => string | string[]]>([
  ['one session', () => pair(alice())],
  ['among other cookies', () => `a=1; ${pair(alice())}; b=2`],
  ['the same twice', () => `${pair(alice())}; ${pair(alice())}`],
  ['the same in two headers', () => [pair(alice()), `theme=dark; ${pair(alice())}`]],
])('A71: the legitimate twin passes: %s', async ([, make]) => {
  const { status, headers, setCookies } = await party.check({}, { Cookie: make() })
  expect([status, headers['x-auth-request-user'], setCookies]).toEqual([200, 'alice', []])
})

test.for(words`
  vestibule Vestibule __Secure-vestibule __host-vestibule __HOST-VESTIBULE xx__Host-vestibule
  __Host-vestibule2 __Host-vestibulex __Host-vestibule[0] __Host-vestibule_login
`)('A71: a cookie of another name is neither a session nor a duplicate (A37): %s', async (name) => {
  expect(await party.userOf(`${name}=${alice()}`)).toBe(302)
  expect(await party.userOf(`${name}=${bob()}; ${pair(alice())}`)).toBe('alice')
})

/** The check with this very `Cookie` line, byte for byte. */
function check(cookie: string): Promise<RawReply> {
  const lines = ['GET /auth HTTP/1.1', 'Host: vestibule', ...FORWARDED_LINES, `Cookie: ${cookie}`]
  return sendLines(party.vestibule.internalPort, ...lines)
}

async function shown(cookie: string) {
  const { status, header } = await check(cookie)
  return { status, user: header('x-auth-request-user'), cookie: header('cookie') }
}

const NOBODY = { status: 302, user: undefined }
const ALICE = { status: 200, user: 'alice' }

const before = words`
  \xe2\x80\x80 \xe2\x80\x83 \xe3\x80\x80 \xef\xbb\xbf \xc2\x85 \xc2\xa0 \xa0 \x85 \xad = " %20 %5F $ + , a=b,
  a=b,\x20 a="b;\x20c=d",\x20 /
`

/** `Cookie` lines in which `{}` stands for the session. */
const forms = words`
  =__Host-vestibule={} __Host-vestibule __Host-vestibule="{}" "__Host-vestibule"={}
  $Version=1;\x20"__Host-vestibule"="{}" $Version="1";\x20__Host-vestibule="{}";\x20$Path="/"
  a=__Host-vestibule={} a=";\x20__Host-vestibule={}" %5F%5FHost-vestibule={} __Host-vestibule={%2E}
  __Host-vestibule:{} __Host-vestibule=={} __host-vestibule={} __Host-vest\xc4\xb1bule={}
  __Host-vestibule={}\xa0 __Host-vestibule={}\xe2\x80\x80 __Host-vestibule={}, __Host-\x20vestibule={}
`

function filled(form: string): string {
  return form.replace('{%2E}', alice().replace('.', '%2E')).replace('{}', alice())
}

test.for(before)('A72: %j before the name makes it another cookie', async (prefix) => {
  expect(await shown(`${prefix}${steps.SESSION_COOKIE}=${alice()}`)).toMatchObject(NOBODY)
  const beside = `${prefix}${steps.SESSION_COOKIE}=${bob()}; ${steps.SESSION_COOKIE}=${alice()}`
  expect(await shown(beside)).toMatchObject(ALICE)
})

test.for(forms)('A72: a session in another form is none: %s', async (form) =>
  expect(await shown(filled(form))).toMatchObject(NOBODY),
)

test.for(words`
  __Host-vestibule={} $Version=1;\x20__Host-vestibule={} =__Host-vestibule=x;\x20__Host-vestibule={}
  a="x;\x20__Host-vestibule={};\x20b=" a=1;\x20\t\x20__Host-vestibule={}\x20\t;\x20b=2
  ;;\x20;\x20__Host-vestibule={}; a=\xff\xfe;\x20__Host-vestibule={}
`)('A72: the legitimate twin passes: %j', async (form) =>
  expect(await shown(filled(form))).toMatchObject(ALICE),
)

test('A72: foreign cookies go back to the app byte for byte, and ours does not', async () => {
  const kept = `a=1; \xa0${steps.SESSION_COOKIE}=x; "b"="2"; =c`
  expect(await shown(`${kept}; ${steps.SESSION_COOKIE}=${alice()}`)).toEqual({
    ...ALICE,
    cookie: kept,
  })
  expect((await shown(`${steps.SESSION_COOKIE}=${alice()}`)).cookie).toBeUndefined()
})

test.for([0x00, 0x01, 0x0b, 0x0c, 0x7f])('A72: control character %i is refused', async (code) => {
  const { status, user } = await shown(
    `${String.fromCharCode(code)}${steps.SESSION_COOKIE}=${alice()}`,
  )
  expect([302, 400]).toContain(status)
  expect(user).toBeUndefined()
})

function many(count: number, bytes: number): string {
  return Array.from({ length: count }, (_, at) => `app${at}=${'x'.repeat(bytes)}`).join('; ')
}

const KIB = 1024

test.for<[string, string]>([
  ['200 small ones', many(200, 10)],
  ['2000 tiny ones', many(2000, 1)],
  ['20 KB, above Node’s own limit', many(5, 4 * KIB)],
  ['60 KB', many(15, 4 * KIB)],
  ['one of 60 KB', many(1, 60 * KIB)],
])('A76: a user passes with big cookies, and the app gets them all: %s', async ([, cookies]) => {
  for (const line of [`${pair(alice())}; ${cookies}`, `${cookies}; ${pair(alice())}`]) {
    const { status, header } = await check(line)
    expect([status, header('x-auth-request-user')]).toEqual([200, 'alice'])
    expect(header('cookie')?.trimEnd()).toBe(cookies)
    const me = ['GET /oauth2/me HTTP/1.1', 'Host: app.example.com', `Cookie: ${line}`]
    expect((await sendLines(party.vestibule.publicPort, ...me)).status).toBe(200)
  }
})

test.for<[string, (good: string) => string]>([
  ['4097 bytes', () => 'x'.repeat(4097)],
  ['50 KB', () => 'x'.repeat(50 * KIB)],
  ['the right value and more', (good) => `${good}${'x'.repeat(5000)}`],
  ['dots', () => '.'.repeat(20_000)],
  ['v1 and dots', () => `v1${'.'.repeat(20_000)}`],
  ['v1 and a long id', () => `v1.${'A'.repeat(20_000)}.${'A'.repeat(43)}`],
])('A76: our own cookie oversized is none: %s', async ([, make]) => {
  const { status, head, text } = await check(`${steps.SESSION_COOKIE}=${make(alice())}`)
  expect(status).toBe(302)
  expect(head).not.toMatch(/^set-cookie:/im)
  expect(text).not.toContain('xxxxx')
})

test.for(words`
  _0 _1 _2 .0 0 [0] -chunks C1
`)('A76: there are no chunks: %s', async (suffix) => {
  const half = Math.ceil(alice().length / 2)
  const cookie = [
    `${steps.SESSION_COOKIE}${suffix}=${alice().slice(0, half)}`,
    `${steps.SESSION_COOKIE}${suffix.replace('0', '1')}x=${alice().slice(half)}`,
    `${steps.SESSION_COOKIE}-chunks=100000000`,
    `${steps.SESSION_COOKIE}=chunks:2`,
  ].join('; ')
  expect((await check(cookie)).status).toBe(302)
  expect((await check(`${steps.SESSION_COOKIE}${suffix}=9; ${pair(alice())}`)).status).toBe(200)
})

test.for<[string, () => string]>([
  ['alone', () => steps.SESSION_COOKIE.repeat(3500)],
  ['with a semicolon', () => `${steps.SESSION_COOKIE};`.repeat(3000)],
  ['behind a letter', () => `x${steps.SESSION_COOKIE}=1;`.repeat(2900)],
  ['behind blanks', () => ` ${' '.repeat(55_000)}${steps.SESSION_COOKIE}`],
  ['before blanks', () => `${steps.SESSION_COOKIE}${' '.repeat(55_000)}`],
  ['semicolons alone', () => ';'.repeat(55_000)],
  ['with blanks between', () => `${steps.SESSION_COOKIE} \t`.repeat(3000)],
])('A76: 60 KB of names like ours are no cookie of ours: %s', async ([, make]) =>
  expect((await check(make())).status).toBe(302),
)

test('A76: all cookies of ours together stay below 3.5 KB, each below 4096 bytes', async () => {
  const browser = party.visitor()
  await browser.get(await steps.untilCallback(browser, `${APP}/${'x'.repeat(2000)}`))
  await steps.startLogin(browser, `${APP}/${'y'.repeat(2000)}`)
  const ours = browser.trail.filter(({ url }) => url.startsWith(APP))
  const lines = ours.flatMap(({ setCookies }) => setCookies)
  expect(lines.length).toBeGreaterThan(3)
  for (const line of lines) expect(line.length).toBeLessThan(4096)
  expect(steps.cookieHeader(browser)?.length).toBeLessThan(3500)
  expect(browser.cookies.find(steps.SESSION_COOKIE)?.value.length).toBeLessThan(150)
  expect((await check(steps.cookieHeader(browser) ?? '')).status).toBe(200)
})
