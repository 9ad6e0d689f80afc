import { beforeAll, describe, expect, test } from 'vitest'
import { SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { FORWARDED_LINES, sendLines } from '../support/wire-requests.ts'

const party = useParty()
let session: string
let other: string

beforeAll(async () => {
  session = await party.sessionOf('alice')
  other = await party.sessionOf('bob')
})

/** The check with this very `Cookie` line, byte for byte. */
async function checkRaw(cookie: string) {
  const lines = ['GET /auth HTTP/1.1', 'Host: vestibule', ...FORWARDED_LINES, `Cookie: ${cookie}`]
  const { status, header } = await sendLines(party.vestibule.internalPort, ...lines)
  return { status, user: header('x-auth-request-user'), cookie: header('cookie') }
}

const NOBODY = { status: 302, user: undefined }
const ALICE = { status: 200, user: 'alice' }

function bytes(...codes: readonly number[]): string {
  return String.fromCharCode(...codes)
}

const before: readonly (readonly [string, string])[] = [
  ['U+2000 in UTF-8', bytes(0xe2, 0x80, 0x80)],
  ['U+2003 in UTF-8', bytes(0xe2, 0x80, 0x83)],
  ['U+3000 in UTF-8', bytes(0xe3, 0x80, 0x80)],
  ['U+FEFF in UTF-8', bytes(0xef, 0xbb, 0xbf)],
  ['U+0085 in UTF-8', bytes(0xc2, 0x85)],
  ['U+00A0 in UTF-8', bytes(0xc2, 0xa0)],
  ['the byte A0', bytes(0xa0)],
  ['the byte 85', bytes(0x85)],
  ['the byte AD', bytes(0xad)],
  ['an equals sign', '='],
  ['a quote', '"'],
  ['an escaped blank', '%20'],
  ['an escaped underscore', '%5F'],
  ['a dollar', '$'],
  ['a plus', '+'],
  ['a comma', ','],
  ['a cookie and a comma', 'a=b,'],
  ['a cookie, a comma and a blank', 'a=b, '],
  ['an open quote', 'a="b; c=d", '],
  ['a slash', '/'],
]

const forms: readonly (readonly [string, (value: string) => string])[] = [
  ['nameless', (value) => `=${SESSION_COOKIE}=${value}`],
  ['nameless, without a sign', () => SESSION_COOKIE],
  ['quoted', (value) => `${SESSION_COOKIE}="${value}"`],
  ['quoted name', (value) => `"${SESSION_COOKIE}"=${value}`],
  ['RFC 2109 with the version before it', (value) => `$Version=1; "${SESSION_COOKIE}"="${value}"`],
  ['RFC 2109 with quotes', (value) => `$Version="1"; ${SESSION_COOKIE}="${value}"; $Path="/"`],
  ['inside another value', (value) => `a=${SESSION_COOKIE}=${value}`],
  ['inside a quoted value', (value) => `a="; ${SESSION_COOKIE}=${value}"`],
  ['percent-encoded name', (value) => `%5F%5FHost-vestibule=${value}`],
  ['percent-encoded value', (value) => `${SESSION_COOKIE}=${value.replace('.', '%2E')}`],
  ['with a colon', (value) => `${SESSION_COOKIE}:${value}`],
  ['with two signs', (value) => `${SESSION_COOKIE}==${value}`],
  ['in small letters', (value) => `__host-vestibule=${value}`],
  ['with a dotless i', (value) => `__Host-vest${bytes(0xc4, 0xb1)}bule=${value}`],
  ['with something behind the value', (value) => `${SESSION_COOKIE}=${value}${bytes(0xa0)}`],
  [
    'with UTF-8 behind the value',
    (value) => `${SESSION_COOKIE}=${value}${bytes(0xe2, 0x80, 0x80)}`,
  ],

  ['with a comma behind the value', (value) => `${SESSION_COOKIE}=${value},`],
  ['split by a blank', (value) => `__Host- vestibule=${value}`],
]

describe('A72 prefix bypass by a lenient parser', () => {
  test.for(before)('%s before the name makes it another cookie', async ([, prefix]) => {
    expect(await checkRaw(`${prefix}${SESSION_COOKIE}=${session}`)).toMatchObject(NOBODY)
    const beside = `${prefix}${SESSION_COOKIE}=${other}; ${SESSION_COOKIE}=${session}`
    expect(await checkRaw(beside)).toMatchObject(ALICE)
  })

  test.for(forms)('a session in another form is none: %s', async ([, make]) =>
    expect(await checkRaw(make(session))).toMatchObject(NOBODY),
  )

  test.for<[string, (value: string) => string]>([
    ['alone', (value) => `${SESSION_COOKIE}=${value}`],
    ['behind a version', (value) => `$Version=1; ${SESSION_COOKIE}=${value}`],
    ['behind a nameless cookie', (value) => `=${SESSION_COOKIE}=x; ${SESSION_COOKIE}=${value}`],
    ['behind a quoted separator', (value) => `a="x; ${SESSION_COOKIE}=${value}; b="`],
    ['behind blanks and tabs', (value) => `a=1; \t ${SESSION_COOKIE}=${value} \t; b=2`],
    ['behind empty cookies', (value) => `;; ; ${SESSION_COOKIE}=${value};`],
    ['behind bytes that are no UTF-8', (v) => `a=${bytes(0xff, 0xfe)}; ${SESSION_COOKIE}=${v}`],
  ])('the legitimate twin passes: %s', async ([, make]) => {
    expect(await checkRaw(make(session))).toMatchObject(ALICE)
  })

  test('foreign cookies go back to the app byte for byte, and ours does not', async () => {
    const kept = `a=1; ${bytes(0xa0)}${SESSION_COOKIE}=x; "b"="2"; =c`
    const answer = await checkRaw(`${kept}; ${SESSION_COOKIE}=${session}`)
    expect(answer).toEqual({ ...ALICE, cookie: kept })
    expect((await checkRaw(`${SESSION_COOKIE}=${session}`)).cookie).toBeUndefined()
  })

  test.for([0x00, 0x01, 0x0b, 0x0c, 0x7f])('control character %i is refused', async (code) => {
    const { status, user } = await checkRaw(`${bytes(code)}${SESSION_COOKIE}=${session}`)
    expect([302, 400]).toContain(status)
    expect(user).toBeUndefined()
  })
})
