import { describe, expect, test } from 'vitest'
import { demoUsers, type ProviderUser } from '../../stand-ins/provider/provider.ts'
import { CONTROLS, codePointsOf, visibleText } from '../support/hostile-claims.ts'
import { type RawAnswer, rawCheck, rawValues } from '../support/raw-check.ts'
import { APP } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const PER_CATEGORY = 60
const HUNDRED_KB = 100 * 1024

const byCategory = [...codePointsOf(PER_CATEGORY)]
const everyCategory = byCategory.flatMap(([, characters]) => characters.slice(0, 12)).join('')

const texts: readonly (readonly [string, string])[] = [
  ...byCategory.map(([name, characters]) => [`category ${name}`, characters.join('')] as const),
  ['all categories', everyCategory],
  ['all categories backwards', Array.from(everyCategory).toReversed().join('')],
  ['every byte', Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')],
  ['every control', CONTROLS.join('')],
  ['every control between letters', CONTROLS.map((control) => `a${control}b`).join('')],
  ['a header behind every control', CONTROLS.map((control) => `${control}X-Admin: 1`).join('')],
  ['line breaks of all kinds', '\r\n\r\n\n\n\r\r\v\f\x85\u2028\u2029'],
  [
    'a second answer',
    'x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX-Auth-Request-User: root\r\n\r\n',
  ],
  ['a cookie', 'x\r\nSet-Cookie: __Host-vestibule=planted; Path=/'],
  ['a redirect', 'x\nLocation: https://evil.example/'],
  ['NUL', '\0\0a\0'],
  ['lone surrogates', '\ud800 \udbff \udc00 \udfff'],
  ['surrogates in the wrong order', '\udc00\ud800\udfff\udbff'],
  ['half a pair before a whole one', '\ud83d\ud83e\udd8a\udd8a'],
  ['the last code point and no characters', '\u{10ffff}\u{1fffe}\ufffe\uffff\ufdd0'],
  ['text from right to left', '\u202eadmin\u202c \u2066x\u2069'],
  ['marks upon marks', `a${'\u0301'.repeat(500)}`],
  ['markup', `</title><script>alert(1)</script>"'&<!--`],
  ['blanks of all kinds', ' \t\u00a0\u1680\u2003\u3000\ufeff '],
]

const users: readonly ProviderUser[] = [
  ...demoUsers,
  ...texts.map(([, text], index) => ({
    sub: `user-${index}`,
    name: text,
    preferred_username: text,
    email: text,
    email_verified: true,
    groups: [text, ...Array.from(text).slice(0, 50), 'staff'],
    title: text,
  })),
]

const party = useParty(
  {
    IDENTITY_HEADERS: 'X-Title=title,X-Line="<{title}, {name}>"',
    IDENTITY_HEADERS_MAX_BYTES: '32768',
  },
  { users },
)

const HEADERS = new Set(words`
  x-auth-request-user x-auth-request-email x-auth-request-preferred-username x-auth-request-name
  x-auth-request-groups x-title x-line content-length date connection keep-alive
`)

/** Exactly the headers of an allowed check, each once; a text that became a header would show here. */
const expectWhole = ({ status, headers, body }: RawAnswer): void => {
  expect([status, body]).toEqual([200, ''])
  const names = headers.map(([name]) => name.toLowerCase())
  expect(names.filter((name) => !HEADERS.has(name))).toEqual([])
  expect(new Set(names).size).toBe(names.length)
}

describe('A32 claims of every code point, through the listening server', () => {
  test('the samples have every general category and every control', () => {
    for (const [name, characters] of byCategory) expect(characters.length, name).toBeGreaterThan(0)
    expect(CONTROLS).toHaveLength(0x20 + 0x21 + 2)
  })

  test.for(texts.map(([label, text], index) => [label, text, index] as const))(
    'the answer is whole, from the store and from memory: %s',
    async ([, text, index]) => {
      const cookie = await party.vestibule.signIn(`user-${index}`)
      const shown = visibleText(text)
      for (const source of ['store', 'memory']) {
        const answer = await rawCheck(party.vestibule, cookie)
        expectWhole(answer)
        expect(rawValues(answer, 'X-Auth-Request-User')).toEqual([`user-${index}`])
        for (const name of words`
          X-Auth-Request-Name X-Auth-Request-Preferred-Username X-Auth-Request-Email X-Title
        `)
          expect(rawValues(answer, name), `${name}, ${source}`).toEqual([shown])
        const line = shown === '' ? '' : `<${shown}, ${shown}>`
        expect(rawValues(answer, 'X-Line')).toEqual([line])
        expect(rawValues(answer, 'X-Auth-Request-Groups').join()).toMatch(/(?:^|,)staff$/)
      }
    },
  )

  test('no text reaches the log, and every line of it is one JSON object', () => {
    const lines = party.vestibule.output().trim().split('\n')
    for (const line of lines) expect(JSON.parse(line)).toBeTypeOf('object')
    expect(party.vestibule.output()).not.toMatch(/X-Admin|planted|evil\.example|alert\(1\)|uFFFD/i)
  })

  test.for(texts.map(([label, text], index) => [label, text, index] as const))(
    'what users may read of themselves is JSON in which nothing is lost: %s',
    async ([, text, index]) => {
      const { browser } = await party.attempt(`user-${index}`)
      const me = await browser.fetch(`${APP}/oauth2/me`)
      expect(me.status).toBe(200)
      const { sub, name = '' } = JSON.parse(me.body) as Record<string, string>
      expect([sub, name]).toEqual([`user-${index}`, text])
      expect(Object.keys(me.headers)).not.toContain('x-admin')
      expect(me.setCookies).toEqual([])
    },
  )
})

describe('A32 claims of 100 KB', () => {
  const fillers: readonly (readonly [string, string])[] = [
    ['ASCII', 'a'],
    ['CR and LF', '\r\n'],
    ['NUL', '\0'],
    ['blanks', ' '],
    ['lone surrogates', '\ud800'],
    ['emoji', '🦊'],
    ['commas and percents', ',%'],
    ['markup', '<"&'],
    ['headers', '\r\nX-Admin: 1'],
    ['everything', everyCategory],
  ]
  const filled = fillers.map(([label, filler]) => {
    const text = filler.repeat(Math.ceil(HUNDRED_KB / filler.length))
    return [label, text, visibleText(text).length] as const
  })
  const claimsOf = (text: string): Readonly<Record<string, unknown>>[] => [
    { name: text },
    { preferred_username: text },
    { email: text, email_verified: true },
    { groups: [text] },
    { groups: text },
    { groups: text.slice(0, 20_000).split('') },
    { title: text },
    { [text.slice(0, 1_000)]: text },
    { address: { formatted: text }, nested: JSON.parse(nest(300)) },
  ]

  test.for(filled)('nothing but a 200 without them or a 403: %s', async ([, text]) => {
    const alice = await party.vestibule.signIn('alice')
    for (const claims of claimsOf(text)) {
      party.provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, ...claims }) })
      const cookie = await party.vestibule.signIn('bob').finally(() => party.provider.reset())
      const answer = await rawCheck(party.vestibule, cookie)
      if (answer.status === 200) expectWhole(answer)
      else expectTooLarge(answer)
      expect(answer.headers.map(([name]) => name.toLowerCase())).not.toContain('x-admin')
      expectWhole(await rawCheck(party.vestibule, alice))
    }
  })

  test('subjects of every kind are given whole, refused, or shown without what no header carries', async () => {
    const claims = {
      email: 'a@example.com',
      email_verified: true,
      name: 'A',
      groups: [],
      title: 'x',
    }
    for (const sub of [
      'a\r\nX-Admin: 1',
      'a\0b',
      'é🦊',
      '\ud800',
      'a'.repeat(HUNDRED_KB),
      ',%',
      ' ',
    ]) {
      party.provider.tamperIdToken({ ...claims, preferred_username: 'a', sub })
      const { browser, answer } = await party.attempt('alice')
      party.provider.reset()
      expect([302, 400, 502]).toContain(answer.status)
      const checked = await rawCheck(party.vestibule, browser.cookies.header(new URL(APP)) ?? '')
      if (checked.status === 200) {
        expectWhole(checked)
        expect(rawValues(checked, 'X-Auth-Request-User')).toEqual([visibleText(sub)])
      }
    }
  })
})

const nest = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)

const expectTooLarge = ({ status, headers, body }: RawAnswer): void => {
  expect(status).toBe(403)
  expect(body.length).toBeLessThan(10_000)
  expect(body).toContain('IDENTITY_HEADERS_MAX_BYTES')
  const names = headers.map(([name]) => name.toLowerCase())
  expect(names.filter((name) => name.startsWith('x-auth-request-'))).toEqual([])
}
