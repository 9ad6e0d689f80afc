import { expect, test } from 'vitest'
import { answer, json, plain, redirect, settingCookies } from '../../src/http/answers.ts'

const COMMON = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  vary: 'Cookie, Authorization',
}

test('no answer may be stored, guessed at or shared', () => {
  const answers = [
    plain(404, 'not found\n'),
    plain(413),
    json(401, { error: 'login_required' }, 'request-1'),
    redirect(302, 'https://app.example.com/'),
    answer(200, 'x', []),
  ]
  for (const { headers } of answers) expect(Object.fromEntries(headers)).toMatchObject(COMMON)
})

test('JSON carries its request id and its further headers', async () => {
  const refusal = json(401, { error: 'x', none: undefined }, 'request-1', [
    ['WWW-Authenticate', 'Bearer realm="app.example.com"'],
  ])
  expect([refusal.status, await refusal.json()]).toEqual([401, { error: 'x' }])
  expect(refusal.headers.get('Content-Type')).toBe('application/json')
  expect(refusal.headers.get('X-Request-Id')).toBe('request-1')
  expect(refusal.headers.get('WWW-Authenticate')).toBe('Bearer realm="app.example.com"')
})

test('a redirect has no body, an absolute address and every cookie', async () => {
  const leading = redirect(303, 'https://app.example.com/a?b', settingCookies('a=1', 'b=2'))
  expect([leading.status, await leading.text()]).toEqual([303, ''])
  expect(leading.headers.get('Location')).toBe('https://app.example.com/a?b')
  expect(leading.headers.get('Referrer-Policy')).toBe('same-origin')
  expect(leading.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
})

test.each([[['a=1']], [['a=1', 'a=2']]])(
  'a later header replaces an earlier one, and each cookie of %j is kept',
  (cookies) => {
    const { headers } = answer(200, null, [
      ['Cache-Control', 'no-cache, no-store'],
      ...settingCookies(...cookies),
    ])
    expect(headers.get('Cache-Control')).toBe('no-cache, no-store')
    expect(headers.getSetCookie()).toEqual(cookies)
  },
)
