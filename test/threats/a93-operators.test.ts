import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asProgram, type BearerParty, bearerRule, startBearerParty } from '../support/bearers.ts'
import { ADMIN_TOKEN } from '../support/operator.ts'
import { raw } from '../support/visitor.ts'

const LINES = '"}\r\n{"level":"fatal","event":"forged-line"}\n\x1b[2J\x1b[31m'
const MARKS = [
  'forged-line',
  'marker-user',
  'marker-jti',
  'marker-id',
  'marker-name',
  'marker-token',
]
const encoded = encodeURIComponent(`${LINES}marker-user`)

let party: BearerParty
let sessionCookie: string
beforeAll(async () => {
  party = await startBearerParty([bearerRule('/api/**'), { access: 'signed-in' }], {
    ADMIN_TOKEN,
    LOG_LEVEL: 'trace',
  })
  sessionCookie = await party.vestibule.signIn('alice')
})
afterAll(() => party[Symbol.asyncDispose]())

const ask = async (
  method: string,
  path: string,
  body?: string,
  headers: Readonly<Record<string, string>> = {},
) => {
  const response = await fetch(`http://127.0.0.1:${party.vestibule.internalPort}/admin/${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${ADMIN_TOKEN}`,
      'Content-Type': 'application/json',
      ...headers,
    },
    ...(body !== undefined && { body }),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}
const send = (port: number, lines: readonly string[]) =>
  raw(port, [...lines, 'Connection: close', '', ''].join('\r\n'))
const isSignedIn = async () =>
  (await party.vestibule.check({}, { Cookie: sessionCookie })).status === 200

describe('A93 what comes to /admin, and what comes of it', () => {
  test('is not in the log, as text or as further lines', async () => {
    await ask('GET', `sessions?user=${encoded}&iss=${encoded}`)
    await ask('DELETE', `sessions?user=${encoded}`)
    await ask('DELETE', `sessions/${encodeURIComponent(`${LINES}marker-id`)}`)
    await ask('DELETE', `sessions?${encodeURIComponent(`${LINES}marker-name`)}=x`)
    await ask('DELETE', `cache/${encodeURIComponent(`${LINES}marker-name`)}`)
    await ask('POST', 'denied-tokens', JSON.stringify({ jti: `${LINES}marker-jti` }))
    await ask('POST', 'denied-tokens', JSON.stringify({ jti: 'x', iss: `${LINES}marker-name` }))
    await ask('POST', 'denied-tokens', JSON.stringify({ token: `${LINES}marker-token` }))
    await ask('POST', 'denied-tokens', `${LINES}marker-token`)
    const forged = { 'X-Request-Id': 'forged-line","a":"b', traceparent: 'forged-line' }
    await ask('GET', 'sessions', undefined, { ...forged, 'X-Forwarded-For': 'marker-name' })
    await ask('GET', 'sessions', undefined, { Authorization: 'Bearer marker-token' })

    const output = party.vestibule.output()
    for (const mark of [...MARKS, ADMIN_TOKEN]) expect(output).not.toContain(mark)
    expect(output).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]/)
    const written = output.trimEnd().split('\n')
    expect(written).toHaveLength(party.vestibule.log().length)
    const events = new Set(party.vestibule.log().map((line) => line['event']))
    for (const event of ['sessions_listed', 'sessions_ended', 'token_denied', 'admin_refused']) {
      expect(events).toContain(event)
    }
    expect(await isSignedIn()).toBe(true)
  })

  test('a token that is denied is neither logged nor answered with', async () => {
    const token = await party.mint({ jti: 'jti-of-a-leaked-token' })
    expect((await party.present(token)).status).toBe(200)
    const { status, text } = await ask('POST', 'denied-tokens', JSON.stringify({ token }))
    expect(status).toBe(200)
    expect((await party.present(token)).status).toBe(401)
    const shown = (await ask('GET', 'denied-tokens')).text
    for (const part of [token, ...token.split('.'), 'jti-of-a-leaked-token']) {
      expect(text + shown + party.vestibule.output()).not.toContain(part)
    }
  })

  test('the list shows nothing that lets anybody in, and is kept by no cache', async () => {
    const { text, headers } = await ask('GET', 'sessions')
    const { sessions } = JSON.parse(text) as { sessions: Readonly<Record<string, string>>[] }
    expect(sessions).toHaveLength(1)
    expect(headers.get('cache-control')).toBe('no-store')
    const names = ['id', 'subject', 'display_name', 'created', 'ends', 'address', 'user_agent']
    expect(Object.keys(sessions[0] ?? {})).toEqual(names)
    for (const part of sessionCookie.split(/[=;. ]+/).filter((each) => each.length > 10)) {
      expect(text).not.toContain(part)
    }
    const asSession = `__Host-vestibule=v1.${sessions[0]?.['id']}.${'A'.repeat(43)}`
    expect((await party.vestibule.check({}, { ...asProgram, Cookie: asSession })).status).toBe(401)
  })

  test.for([
    'DELETE /admin/sessions?all=true',
    'DELETE /admin/sessions?user=alice',
    'POST /admin/denied-tokens',
    'GET /admin/sessions',
  ])('is nothing without the token, whatever else is sent: %s', async (line, { expect }) => {
    const { internalPort, publicPort } = party.vestibule
    const carriers = [
      `Cookie: ADMIN_TOKEN=${ADMIN_TOKEN}`,
      `X-Admin-Token: ${ADMIN_TOKEN}`,
      `Authorization: ${ADMIN_TOKEN}`,
      `Authorization: Basic ${btoa(`admin:${ADMIN_TOKEN}`)}`,
      `X-Original-Authorization: Bearer ${ADMIN_TOKEN}`,
      `X-Forwarded-For: 127.0.0.1`,
    ]
    const [method = '', path = ''] = line.split(' ')
    const query = path.includes('?') ? '&' : '?'
    for (const carrier of carriers) {
      const answer = await send(internalPort, [`${line} HTTP/1.1`, 'Host: v', carrier])
      expect(answer, carrier).toMatch(/^HTTP\/1\.1 401 /)
    }
    const inQuery = `${method} ${path}${query}access_token=${ADMIN_TOKEN} HTTP/1.1`
    expect(await send(internalPort, [inQuery, 'Host: v'])).toMatch(/^HTTP\/1\.1 401 /)
    const authorization = `Authorization: Bearer ${ADMIN_TOKEN}`
    const elsewhere = await send(publicPort, [
      `${line} HTTP/1.1`,
      'Host: app.example.com',
      authorization,
    ])
    expect(elsewhere).toMatch(/^HTTP\/1\.1 404 /)
    expect(await isSignedIn()).toBe(true)
  })

  test('is not reached through the check, nor by another spelling of its path', async () => {
    const authorization = `Authorization: Bearer ${ADMIN_TOKEN}`
    const paths = [
      '//admin/sessions?all=true',
      '/Admin/sessions?all=true',
      '/admin//sessions?all=true',
      '/admin/sessions;x?all=true',
      '/auth/../admin/x?all=true',
      '/admin%2fsessions?all=true',
    ]
    for (const path of paths) {
      const line = `DELETE ${path} HTTP/1.1`
      const answer = await send(party.vestibule.internalPort, [line, 'Host: v', authorization])
      expect(answer, path).toMatch(/^HTTP\/1\.1 404 /)
    }
    const check = await party.vestibule.check(
      { method: 'DELETE', uri: '/admin/sessions?all=true' },
      { ...asProgram, Authorization: `Bearer ${ADMIN_TOKEN}` },
    )
    expect(check.status).toBe(401)
    expect(await isSignedIn()).toBe(true)
  })
})
