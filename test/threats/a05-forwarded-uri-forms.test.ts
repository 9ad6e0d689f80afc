import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { raw } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const vestibule = prepared(() => startVestibule({ PUBLIC_PATHS: '/public/**' }))

const APP = 'https://app.example.com'

describe('A05 forms of X-Forwarded-Uri', () => {
  test.for([
    ['nothing but blanks', '   '],
    ['the asterisk of OPTIONS', '*'],
    ['an absolute URL', 'http://evil.example/x'],
    ['an absolute URL of this host', 'https://app.example.com/public/a'],
    ['an absolute URL without slashes', 'https:evil.example'],
    ['two slashes', '//evil.example/x'],
    ['two slashes before a public path', '//public/a'],
    ['three slashes', '///evil.example/x'],
    ['a query alone', '?x'],
    ['a relative path', 'public/a'],
    ['a dot path', './public/a'],
    ['a blank in the path', '/public/a b'],
    ['a tab in the path', '/public/a\tb'],
    ['a fragment', '/public/a#frag'],
    ['a fragment in the query', '/public/a?x=1#frag'],
    ['a fragment alone', '#/public/a'],
    ['a back-slash', '\\public\\a'],
    ['a host and port', 'evil.example:443'],
    ['a scheme that runs', 'javascript:alert(1)'],
    ['more than 8 KiB of path', `/public/${'a'.repeat(8200)}`],
    ['more than 8 KiB of query', `/public/a?${'a'.repeat(8200)}`],
    ['30 KB', `/public/${'a'.repeat(30_000)}`],
  ] as const)('is refused: %s', async ([, uri]) => {
    expectRefusal(await vestibule().check({ uri }), 400, ['evil.example', 'javascript:'])
  })

  test.for([
    ['empty', ''],
    ['missing', undefined],
  ] as const)('is refused: %s', async ([, uri]) => {
    expectRefusal(await vestibule().check({}, { 'X-Forwarded-Uri': uri }), 400)
  })

  test('a missing path is not taken from our own request line', async () => {
    const lines = words`
      GET\x20/auth/public/a?x=/public/a\x20HTTP/1.1 Host:\x20app.example.com
      X-Forwarded-Method:\x20GET X-Forwarded-Proto:\x20https X-Forwarded-Host:\x20app.example.com
      Connection:\x20close
    `
    for (const line of [lines[0], 'GET /auth?/public/a HTTP/1.1', 'GET /auth/ HTTP/1.1']) {
      const text = `${[line, ...lines.slice(1)].join('\r\n')}\r\n\r\n`
      expect(await raw(vestibule().internalPort, text)).toMatch(/^HTTP\/1\.1 4\d\d /)
    }
  })

  test.for([
    ['NUL', '/public/a\0'],
    ['NUL before the path', '\0/public/a'],
    ['a bare CR', '/public/a\rSet-Cookie: evil=1'],
    ['DEL', '/public/a\x7f'],
    ['an escape', '/public/\x1b[2J'],
    ['a folded line', '/public/a\r\n /b'],
  ] as const)('raw control bytes are refused: %s', async ([, uri]) => {
    const lines = [
      ...words`
        GET\x20/auth\x20HTTP/1.1 Host:\x20a X-Forwarded-Method:\x20GET X-Forwarded-Proto:\x20https
        X-Forwarded-Host:\x20app.example.com Connection:\x20close
      `,
      `X-Forwarded-Uri: ${uri}`,
    ]
    const answer = await raw(vestibule().internalPort, `${lines.join('\r\n')}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).not.toMatch(/set-cookie/i)
  })

  test.for([
    ['encoded CR and LF', '/a%0d%0aSet-Cookie:%20evil=1'],
    ['encoded NUL', '/a%00b'],
    ['an encoded fragment', '/a%23b'],
    ['broken escapes', '/a%/b%2/c%zz'],
    ['an overlong encoding', '/a%c0%af..%c0%afb'],
    ['quotes and angles', '/a"<script>\'`{}|^'],
    ['8 KiB exactly, of which no more than 2 KiB can be a target', `/${'a'.repeat(8191)}`],
  ] as const)('opens nothing and breaks nothing: %s', async ([, uri]) => {
    const visit = await vestibule().check({ uri })
    expect(visit.status).toBe(302)
    expect(visit.setCookies).toEqual([])
    expect(visit.headers.location).toMatch(
      /^https:\/\/app\.example\.com\/oauth2\/login\?rd=https%3A%2F%2Fapp\.example\.com%2F[\w.%+*-]*$/,
    )
    const script = await vestibule().check(
      { uri },
      { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
    )
    expectRefusal(script, 401, ['<script>'])
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
