import { expect, test } from 'vitest'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { useParty } from '../support/used-party.ts'
import { checkRaw } from '../support/wire-requests.ts'
import { labelled, words } from '../support/words.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })

const HOST = 'app.example.com'
const legitimate = { Host: HOST, Uri: '/public/a', Proto: 'https', Method: 'GET' } as const
type Part = keyof typeof legitimate

const parts = (template: TemplateStringsArray) =>
  words(template).map((pair) => pair.split('=') as [Part, string])
const doubled = parts`
  Host=evil.example Host=other.example.com Host=app.example.com Uri=/admin Uri=/public/a Proto=http
  Proto=https Method=DELETE Method=GET
`

test('A02: each header once is a request like any other', async () => {
  expect((await party.check({ uri: '/public/a' })).status).toBe(200)
  expectLogin(await party.check({ uri: '/a' }), 'https://app.example.com/a')
})

test.for(doubled)(
  'A02: X-Forwarded-%s sent twice, with %s too, is refused',
  async ([part, other]) => {
    const name = `X-Forwarded-${part}`
    const first = legitimate[part]
    for (const values of [
      [first, other],
      [other, first],
      [first, other, first],
    ]) {
      const visit = await party.check({ uri: '/public/a' }, { [name]: values })
      expectRefusal(visit, 400, ['evil.example', 'other.example.com'])
      expect(visit.body).toContain('was sent twice')
    }
  },
)

test.for(doubled)(
  'A02: two spellings of X-Forwarded-%s are two of it: %s',
  async ([part, other]) => {
    for (const spelling of [`x-forwarded-${part.toLowerCase()}`, `X-FORWARDED-${part}`]) {
      const { status } = await checkRaw(party.vestibule, { headers: [`${spelling}: ${other}`] })
      expect(status).toBe(400)
    }
  },
)

test.for(parts`
  Host=app.example.com,\x20evil.example Host=evil.example,\x20app.example.com
  Host=app.example.com,app.example.com Host=app.example.com, Host=,app.example.com Proto=https,\x20http
  Proto=https,https Proto=https, Method=GET,\x20DELETE Method=GET,GET Method=GET,
  Uri=/public/a,\x20/admin Uri=/public/a,\t/public/b
`)('A02: a list in X-Forwarded-%s is refused: %s', async ([part, value]) => {
  const visit = await party.check({ uri: '/public/a' }, { [`X-Forwarded-${part}`]: value })
  expectRefusal(visit, 400, ['evil.example'])
})

test('A02: a comma without a blank is part of a path, and stays in it', async () => {
  const visit = await party.check({ uri: '/a,/public/b?c=1,2' })
  expectLogin(visit, 'https://app.example.com/a,/public/b?c=1,2')
  expect((await party.check({ uri: '/public/a,b' })).status).toBe(200)
})

const APP = 'https://app.example.com'

test.for(
  labelled([
    ...words`
      \x20\x20\x20 * http://evil.example/x https://app.example.com/public/a https:evil.example
      //evil.example/x //public/a ///evil.example/x ?x public/a ./public/a /public/a\x20b
      /public/a\tb /public/a#frag /public/a?x=1#frag #/public/a \\public\\a evil.example:443
      javascript:alert(1)
    `,
    '',
    undefined,
    `/public/${'a'.repeat(16_400)}`,
    `/public/a?${'a'.repeat(16_400)}`,
    `/public/${'a'.repeat(30_000)}`,
  ]),
)('%s is refused (A25)', async ([, uri]) => {
  const visit = await party.check({}, { 'X-Forwarded-Uri': uri })
  expectRefusal(visit, 400, ['evil.example', 'javascript:'])
})

test.for(words`
  /public/a\0 \0/public/a /public/a\rSet-Cookie:\x20evil=1 /public/a\x7f /public/\x1b[2J
  /public/a\r\n\x20/b
`)('A05: raw control bytes are refused: %j', async (Uri) => {
  const { status, text } = await checkRaw(party.vestibule, { forwarded: { Uri } })
  expect(status).toBe(400)
  expect(text).not.toMatch(/set-cookie/i)
})

test.for(
  labelled([
    ...words`
      /a%0d%0aSet-Cookie:%20evil=1 /a%00b /a%23b /a%/b%2/c%zz /a%c0%af..%c0%afb
    `,
    '/a"<script>\'`{}|^',
    // 8 KiB exactly, of which no more than 2 KiB can be a target.
    `/${'a'.repeat(8191)}`,
  ]),
)('%s leads to a sign-in and nothing else', async ([, uri]) => {
  const visit = await party.check({ uri })
  expect([visit.status, visit.setCookies]).toEqual([302, []])
  expect(visit.headers.location).toMatch(
    /^https:\/\/app\.example\.com\/oauth2\/login\?rd=https%3A%2F%2Fapp\.example\.com%2F[\w.%+*-]*$/,
  )
  const headers = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
  expectRefusal(await party.check({ uri }, headers), 401, ['<script>'])
})

test('A05: a path and a query come back as they were', async () => {
  const uri = '/a%20b/%C3%A9?x=%2F&y=/public/a&z=http://evil.example'
  expectLogin(await party.check({ uri }), APP + uri)
  expect((await party.check({ uri: '/public/a?x=http://evil.example' })).status).toBe(200)
  expect((await party.check({ uri: '/public/' })).status).toBe(200)
})

test.for([
  ['UTF-8', Buffer.from('/é/🦊?ü=ß', 'utf8'), '/%C3%A9/%F0%9F%A6%8A?%C3%BC=%C3%9F'],
  ['bytes that are no UTF-8', Buffer.from('/\xff\xfe?\x80', 'latin1'), '/%FF%FE?%80'],
  ['C1 controls', Buffer.from('/\x85\x9f', 'latin1'), '/%85%9F'],
] as const)('A05: bytes from 0x80 up are percent-encoded once: %s', async ([, bytes, encoded]) => {
  const visit = await party.check({ uri: bytes.toString('latin1') })
  const rd = new URL(visit.location ?? '').searchParams.get('rd')
  expect(rd?.toUpperCase()).toBe(`${APP}${encoded}`.toUpperCase())
  expect(visit.headers.location).toMatch(/^[\x21-\x7e]+$/)
})

test('A05: a public path may hold letters from 0x80 up, and they hide no dot segment', async () => {
  const open = Buffer.from('/public/é', 'utf8').toString('latin1')
  expect((await party.check({ uri: open })).status).toBe(200)
  for (const uri of [
    '/public/\xff/../../admin',
    '/public/\xe9/..%2f..%2fadmin',
    '/public/\xc0\xae\xc0\xae/a\\..',
  ])
    expectRefusal(await party.check({ uri }), 400)
})
