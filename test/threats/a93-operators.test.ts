import { expect, test } from 'vitest'
import { asProgram, bearerRule } from '../support/bearers.ts'
import { ADMIN_TOKEN } from '../support/operator.ts'
import { prepared } from '../support/prepared.ts'
import { useBearerParty } from '../support/used-party.ts'
import { sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const LINES = '"}\r\n{"level":"fatal","event":"forged-line"}\n\x1b[2J\x1b[31m'
const MARKS = ['user', 'jti', 'id', 'name', 'token'].map((name) => `marker-${name}`)
const AUTHORIZATION = `Bearer ${ADMIN_TOKEN}`
const SETTINGS = { ADMIN_TOKEN, LOG_LEVEL: 'trace' }
const party = useBearerParty([bearerRule('/api/**'), { access: 'signed-in' }], SETTINGS)
const sessionCookie = prepared(() => party.vestibule.signIn('alice'))

async function ask(method: string, path: string, body?: string, further = {}) {
  const response = await fetch(`http://127.0.0.1:${party.vestibule.internalPort}/admin/${path}`, {
    method,
    headers: { Authorization: AUTHORIZATION, 'Content-Type': 'application/json', ...further },
    ...(body !== undefined && { body }),
  })

  return { status: response.status, text: await response.text(), headers: response.headers }
}

function deny(body: unknown) {
  return ask('POST', 'denied-tokens', JSON.stringify(body))
}

async function expectSignedIn() {
  return expect(await party.userOf(sessionCookie())).toBe('alice')
}

async function expectStatus(status: number, ...lines: string[]): Promise<void> {
  const { internalPort } = party.vestibule
  expect(await sendLines(internalPort, ...lines), lines.join()).toMatchObject({ status })
}

test('the input of an operator is not in the log, as text or as further lines', async () => {
  const encoded = encodeURIComponent(`${LINES}marker-user`)
  await ask('GET', `sessions?user=${encoded}&iss=${encoded}`)
  await ask('DELETE', `sessions?user=${encoded}`)
  await ask('DELETE', `sessions/${encodeURIComponent(`${LINES}marker-id`)}`)
  await ask('DELETE', `sessions?${encodeURIComponent(`${LINES}marker-name`)}=x`)
  await ask('DELETE', `cache/${encodeURIComponent(`${LINES}marker-name`)}`)
  await deny({ jti: `${LINES}marker-jti` })
  await deny({ jti: 'x', iss: `${LINES}marker-name` })
  await deny({ token: `${LINES}marker-token` })
  await ask('POST', 'denied-tokens', `${LINES}marker-token`)
  const forged = { 'X-Request-Id': 'forged-line","a":"b', traceparent: 'forged-line' }
  await ask('GET', 'sessions', undefined, { ...forged, 'X-Forwarded-For': 'marker-name' })
  await ask('GET', 'sessions', undefined, { Authorization: 'Bearer marker-token' })
  const output = party.vestibule.output()
  for (const mark of ['forged-line', ...MARKS, ADMIN_TOKEN]) expect(output).not.toContain(mark)
  expect(output).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]/)
  expect(output.trimEnd().split('\n')).toHaveLength(party.vestibule.log().length)
  const events = new Set(party.vestibule.log().map((line) => line['event']))
  for (const event of ['sessions_listed', 'sessions_ended', 'token_denied', 'admin_refused']) {
    expect(events).toContain(event)
  }
  await expectSignedIn()
})

test('a token that is denied is neither logged nor answered with', async () => {
  const token = await party.mint({ jti: 'jti-of-a-leaked-token' })
  expect((await party.present(token)).status).toBe(200)
  const { status, text } = await deny({ token })
  expect([status, (await party.present(token)).status]).toEqual([200, 401])
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
  for (const part of sessionCookie()
    .split(/[=;. ]+/)
    .filter((each) => each.length > 10))
    expect(text).not.toContain(part)
  const asSession = `__Host-vestibule=v1.${sessions[0]?.['id']}.${'A'.repeat(43)}`
  expect((await party.vestibule.check({}, { ...asProgram, Cookie: asSession })).status).toBe(401)
})

test.for(words`
  DELETE\x20/admin/sessions?all=true DELETE\x20/admin/sessions?user=alice
  POST\x20/admin/denied-tokens GET\x20/admin/sessions
`)('/admin takes no token from the query, and is not at the public listener: %s', async (line) => {
  const [method = '', path = ''] = line.split(' ')
  const query = path.includes('?') ? '&' : '?'
  const inQuery = `${method} ${path}${query}access_token=${ADMIN_TOKEN} HTTP/1.1`
  await expectStatus(401, inQuery, 'Host: v')
  const lines = [`${line} HTTP/1.1`, 'Host: app.example.com', `Authorization: ${AUTHORIZATION}`]
  expect((await sendLines(party.vestibule.publicPort, ...lines)).status).toBe(404)
  await expectSignedIn()
})

test.for(words`
  //admin/sessions?all=true /Admin/sessions?all=true /admin//sessions?all=true
  /admin/sessions;x?all=true /auth/../admin/x?all=true /admin%2fsessions?all=true
`)('/admin is not reached by another spelling of its path: %s', async (path) => {
  await expectStatus(404, `DELETE ${path} HTTP/1.1`, 'Host: v', `Authorization: ${AUTHORIZATION}`)
  await expectSignedIn()
})

test('/admin is not reached through the check', async () => {
  const forwarded = { method: 'DELETE', uri: '/admin/sessions?all=true' }
  const visit = await party.check(forwarded, { ...asProgram, Authorization: AUTHORIZATION })
  expect(visit.status).toBe(401)
  await expectSignedIn()
})
