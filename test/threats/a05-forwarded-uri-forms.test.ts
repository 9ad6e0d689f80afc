import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { checkRaw } from '../support/wire-requests.ts'
import { labelled, words } from '../support/words.ts'

const vestibule = prepared(() => startVestibule({ PUBLIC_PATHS: '/public/**' }))

const APP = 'https://app.example.com'

describe('A05 forms of X-Forwarded-Uri', () => {
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
      `/public/${'a'.repeat(8200)}`,
      `/public/a?${'a'.repeat(8200)}`,
      `/public/${'a'.repeat(30_000)}`,
    ]),
  )('%s is refused', async ([, uri]) => {
    const visit = await vestibule().check({}, { 'X-Forwarded-Uri': uri })
    expectRefusal(visit, 400, ['evil.example', 'javascript:'])
  })

  test('a missing path is not taken from our own request line', async () => {
    const forwarded = { Uri: undefined }
    for (const target of ['/auth/public/a?x=/public/a', '/auth?/public/a', '/auth/']) {
      const line = `GET ${target} HTTP/1.1`
      expect(String((await checkRaw(vestibule(), { line, forwarded })).status)).toMatch(/^4\d\d$/)
    }
  })

  test.for(words`
    /public/a\0 \0/public/a /public/a\rSet-Cookie:\x20evil=1 /public/a\x7f /public/\x1b[2J
    /public/a\r\n\x20/b
  `)('raw control bytes are refused: %j', async (Uri) => {
    const { status, text } = await checkRaw(vestibule(), { forwarded: { Uri } })
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
    const visit = await vestibule().check({ uri })
    expect([visit.status, visit.setCookies]).toEqual([302, []])
    expect(visit.headers.location).toMatch(
      /^https:\/\/app\.example\.com\/oauth2\/login\?rd=https%3A%2F%2Fapp\.example\.com%2F[\w.%+*-]*$/,
    )
    const headers = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
    expectRefusal(await vestibule().check({ uri }, headers), 401, ['<script>'])
  })

  test('a path and a query come back as they were', async () => {
    const uri = '/a%20b/%C3%A9?x=%2F&y=/public/a&z=http://evil.example'
    expectLogin(await vestibule().check({ uri }), APP + uri)
    expect((await vestibule().check({ uri: '/public/a?x=http://evil.example' })).status).toBe(200)
    expect((await vestibule().check({ uri: '/public/' })).status).toBe(200)
  })

  test.for([
    ['UTF-8', Buffer.from('/é/🦊?ü=ß', 'utf8'), '/%C3%A9/%F0%9F%A6%8A?%C3%BC=%C3%9F'],
    ['bytes that are no UTF-8', Buffer.from('/\xff\xfe?\x80', 'latin1'), '/%FF%FE?%80'],
    ['C1 controls', Buffer.from('/\x85\x9f', 'latin1'), '/%85%9F'],
  ] as const)('bytes from 0x80 up are percent-encoded once: %s', async ([, bytes, encoded]) => {
    const visit = await vestibule().check({ uri: bytes.toString('latin1') })
    const rd = new URL(visit.location ?? '').searchParams.get('rd')
    expect(rd?.toUpperCase()).toBe(`${APP}${encoded}`.toUpperCase())
    expect(visit.headers.location).toMatch(/^[\x21-\x7e]+$/)
  })

  test('a public path may hold letters from 0x80 up, and they hide no dot segment', async () => {
    const open = Buffer.from('/public/é', 'utf8').toString('latin1')
    expect((await vestibule().check({ uri: open })).status).toBe(200)
    for (const uri of [
      '/public/\xff/../../admin',
      '/public/\xe9/..%2f..%2fadmin',
      '/public/\xc0\xae\xc0\xae/a\\..',
    ]) {
      expectRefusal(await vestibule().check({ uri }), 400)
    }
  })
})
