import { describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import { userDigest } from '../../src/telemetry/log.ts'
import {
  ADMIN_TOKEN,
  BROADCAST_ID,
  BROADCAST_TOKEN,
  ISSUER,
  OPERATOR,
  signed,
  startAdmin as start,
} from '../support/started-admin.ts'
import { members, words } from '../support/words.ts'

const PATH = '/admin/broadcast'
const NOTICE = { event: 'notice', data: { text: 'Hello' } }
const json = { ...signed, 'Content-Type': 'application/json' }
const bearer = (token: string) => ({ ...json, Authorization: `Bearer ${token}` })

type Started = ReturnType<typeof start>
const post = (
  { ask }: Started,
  body: unknown,
  headers: Readonly<Record<string, string>> = json,
  query = '',
) =>
  ask('POST', PATH + query, {
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

/** Data whose JSON has exactly so many bytes. */
const ofBytes = (bytes: number, letter = 'a'): string => {
  const letters = letter.repeat(Math.floor((bytes - 2) / Buffer.byteLength(letter)))
  return letters + 'a'.repeat(bytes - 2 - Buffer.byteLength(letters))
}
const MAX = 4096
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

describe('POST /admin/broadcast', () => {
  test.for([
    ...members`
      data=null data=false data=0 data="" data=[] data={} data="ü" event="a"&data=1
      event="a-1"&data=1 event="a${'b'.repeat(31)}"&data=1 event="opened"&data=1
      event="sessions"&data=1 data=1&user="alice" data=1&user="a\x20b@\u00e9" data=1&host="app.example.com"
      data=1&user="alice"&host="app.example.com" data=1&host="app.localhost:8080"
      data=1&host="x.apps.example.com" data="${'a'.repeat(MAX - 2)}"
    `,
    ['a user as long as may be', { data: 1, user: 'ü'.repeat(512) }],
    ['letters of two bytes, as many as fit', { data: ofBytes(MAX, 'ü') }],
    ['data with a member __proto__', { data: JSON.parse('{"__proto__":{"a":1}}') as unknown }],
    ['data that are deep', { data: JSON.parse(deep(2048)) as unknown }],
  ] as const)('%s is sent as it is', async ([, given]) => {
    const started = start()
    const body = { event: 'notice', ...given }
    const response = await post(started, body)
    expect([response.status, await response.json()]).toEqual([202, { id: BROADCAST_ID }])
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(started.broadcasts.map((each) => JSON.stringify(each))).toEqual([JSON.stringify(body)])
    expect(await started.readMetric('vestibule_broadcasts_total')).toBe(1)
  })

  test.for([
    ['APP.example.com', 'app.example.com'],
    ['app.example.com:443', 'app.example.com'],
    ['App.Localhost:8080', 'app.localhost:8080'],
    ['X.apps.example.com:443', 'x.apps.example.com'],
  ])('the host %s is that of the pages of %s', async ([given, host]) => {
    const started = start()
    expect((await post(started, { ...NOTICE, host: given })).status).toBe(202)
    expect(started.broadcasts).toEqual([{ ...NOTICE, host }])
  })

  const NAME = /^event must be a name /
  const USER = /^user must be /
  const HOST = /^host must be /
  test.for<readonly [what: string, body: unknown, message: RegExp]>([
    ...words`\x20 {"event": event=notice [] null "notice" 7`.map(
      (body) => [body, body, /^The body must be {"event","data","user","host"}\.$/] as const,
    ),
    ...words`
      {"event":"notice","data":1,"users":"alice"} {"event":"notice","data":1,"Host":"app.example.com"}
      {"event":"notice","data":1,"__proto__":{"user":"alice"}} {"event":"notice","data":1,"constructor":1}
      {"event":"notice","data":1,"":1} {"event":"notice","data":1,"id":"1-0"}
    `.map(
      (body) =>
        [body, body, /^The known members of the body are: event, data, user, host\.$/] as const,
    ),
    ['no data', { event: 'notice' }, /^data is missing/],
    ['nothing but a prototype', '{"__proto__":{"data":1}}', /^The known members/],
    [
      'data that are too long',
      { event: 'notice', data: ofBytes(MAX + 1) },
      /longer than 4096 bytes/,
    ],
    ['letters of two bytes', { event: 'notice', data: ofBytes(MAX + 1, 'ü') }, /longer than 4096/],
    [
      'data as deep as a body can be',
      `{"event":"notice","data":${deep(8150)}}`,
      /longer than 4096/,
    ],
    ...words`1e999 -1e999 [1,{"a":[1e400]}]`.map(
      (data) => [data, `{"event":"notice","data":${data}}`, /^data has a number/] as const,
    ),
    ['a user that is too long', { ...NOTICE, user: `${'ü'.repeat(512)}a` }, USER],
    ['no event', { data: 1 }, NAME],
    ...words`
      \x20 A notIce 1a -a a_b a.b a/b é session- session-ended session-x open error message
      a${'b'.repeat(32)} a\nb a\rdata:x notice\n
    `.map((event) => [JSON.stringify(event), { event, data: 1 }, NAME] as const),
    ...[null, 7, [], ['notice'], {}, ''].map(
      (event) => [`the event ${JSON.stringify(event)}`, { event, data: 1 }, NAME] as const,
    ),
    ...[null, '', 7, false, ['alice'], {}].map(
      (user) => [`the user ${JSON.stringify(user)}`, { ...NOTICE, user }, USER] as const,
    ),
    ...[null, '', 7, ['app.example.com'], {}].map(
      (host) => [`the host ${JSON.stringify(host)}`, { ...NOTICE, host }, HOST] as const,
    ),
    ...words`
      example.com app.example.com.evil.com app.example.com:8443 https://app.example.com
      app.example.com/ .apps.example.com apps.example.com *.apps.example.com app.example.com. * __proto__
    `.map((host) => [`the host ${host}`, { ...NOTICE, host }, HOST] as const),
  ])('%.80s is 400, and nothing is sent', async ([, body, message]) => {
    const started = start()
    const response = await post(started, body)
    expect([response.status, await response.json()]).toEqual([
      400,
      {
        error: 'invalid_request',
        message: expect.stringMatching(message) as string,
        request_id: expect.any(String) as string,
      },
    ])
    expect([started.broadcasts, started.eventCodes()]).toEqual([[], ['refused']])
  })

  test.for([
    ...words`text/plain application/x-www-form-urlencoded application/jsonp text/json`,
    '',
  ])('as %j it is 415', async (type) => {
    const started = start()
    expect((await post(started, NOTICE, { ...signed, 'Content-Type': type })).status).toBe(415)
    expect(started.broadcasts).toEqual([])
  })

  test('with a charset it is JSON, and with a query or a body above 16 KiB it is refused', async () => {
    const started = start()
    const type = { 'Content-Type': 'Application/JSON ; charset=utf-8' }
    expect((await post(started, NOTICE, { ...signed, ...type })).status).toBe(202)
    expect((await post(started, NOTICE, json, '?user=alice')).status).toBe(400)
    expect((await post(started, `${JSON.stringify(NOTICE)}${' '.repeat(16_384)}`)).status).toBe(413)
    expect(started.broadcasts).toHaveLength(1)
  })

  test('is one line in the log, without the data and without the name of a user', async () => {
    const started = start()
    const body = {
      event: 'notice',
      data: 'of-the-data',
      user: 'of-the-user',
      host: 'APP.example.com',
    }
    const request_id = (await post(started, body)).headers.get('x-request-id')
    const audience = { user: userDigest(ISSUER, 'of-the-user'), host: 'app.example.com' }
    const told = { id: BROADCAST_ID, broadcast: 'notice', bytes: 13, ...audience }
    expect(started.lines).toMatchObject([
      { event: 'broadcast', level: 30, client: OPERATOR, request_id, ...told },
    ])
    expect(JSON.stringify(started.lines)).not.toMatch(/of-the-/)
  })

  test('is 503 where Redis does not carry it, which one line tells with the cause', async () => {
    const facts = { server: '10.1.2.3:6379', explanation: 'it is full' }
    const send = async () => {
      throw new AuthError('store_unavailable', 'Redis: full', { facts })
    }
    const started = start({ send })
    const response = await post(started, { ...NOTICE, data: 'of-the-data' })
    expect([response.status, await response.json()]).toEqual([
      503,
      {
        error: 'store_unavailable',
        message: 'the broadcast may not have been sent',
        request_id: expect.any(String) as string,
      },
    ])
    expect(started.lines[0]).toMatchObject({
      event: 'broadcast_failed',
      broadcast: 'notice',
      ...facts,
    })
    expect(JSON.stringify(started.lines)).not.toContain('of-the-data')
    expect(await started.readMetric('vestibule_broadcasts_total')).toBe(0)
  })

  test('an error of the code is 500, and no word of it is told', async () => {
    const started = start({ send: () => Promise.reject(new TypeError('of the code')) })
    const response = await post(started, NOTICE)
    expect([response.status, await response.text()]).toEqual([
      500,
      expect.not.stringMatching('code'),
    ])
  })
})

describe('the tokens of /admin/broadcast', () => {
  const [BOTH, APPS_ALONE, OPERATORS_ALONE, NEITHER] = [
    { broadcastToken: BROADCAST_TOKEN },
    { broadcastToken: BROADCAST_TOKEN, token: undefined },
    {},
    { token: undefined },
  ]
  test.for([
    [BOTH, ADMIN_TOKEN, 202, 200],
    [BOTH, BROADCAST_TOKEN, 202, 403],
    [BOTH, 'wrong', 401, 401],
    [APPS_ALONE, ADMIN_TOKEN, 401, 404],
    [APPS_ALONE, BROADCAST_TOKEN, 202, 404],
    [APPS_ALONE, 'wrong', 401, 404],
    [OPERATORS_ALONE, ADMIN_TOKEN, 202, 200],
    [OPERATORS_ALONE, BROADCAST_TOKEN, 401, 401],
    [NEITHER, ADMIN_TOKEN, 404, 404],
    [NEITHER, BROADCAST_TOKEN, 404, 404],
  ] as const)('%o with %s: %i, and %i elsewhere', async ([options, token, status, elsewhere]) => {
    const started = start(options)
    expect((await post(started, NOTICE, bearer(token))).status).toBe(status)
    const others = words`/sessions /cache /denied-tokens`
    for (const path of others) {
      const response = await started.ask('GET', `/admin${path}`, { headers: bearer(token) })
      expect(response.status, path).toBe(elsewhere)
    }
    expect(started.broadcasts).toHaveLength(status === 202 ? 1 : 0)
  })

  test.for(words`
    /admin/broadcast/ /admin/broadcast/x /admin/Broadcast /admin//broadcast /admin/x/../sessions
    /admin/broadcast%2f..%2fsessions /admin/sessions?/admin/broadcast /admin/sessions;/admin/broadcast
  `)('%s is not the path of BROADCAST_TOKEN', async (path) => {
    const started = start({ broadcastToken: BROADCAST_TOKEN })
    const asked = { headers: bearer(BROADCAST_TOKEN), body: JSON.stringify(NOTICE) }
    const response = await started.ask('POST', path, asked)
    expect([response.status, started.broadcasts]).toEqual([403, []])
  })

  test('no other method is there', async () => {
    const started = start({ broadcastToken: BROADCAST_TOKEN })
    for (const method of words`GET PUT DELETE PATCH`)
      expect((await started.ask(method, PATH, { headers: bearer(BROADCAST_TOKEN) })).status).toBe(
        404,
      )
  })

  test('BROADCAST_TOKEN elsewhere is no wrong token, and a wrong one counts for both', async () => {
    const started = start({ broadcastToken: BROADCAST_TOKEN })
    const askSessions = (token: string) =>
      started.ask('GET', '/admin/sessions', { headers: bearer(token) })
    for (let count = 0; count < 20; count++)
      expect((await askSessions(BROADCAST_TOKEN)).status).toBe(403)
    expect((await post(started, NOTICE, bearer(BROADCAST_TOKEN))).status).toBe(202)
    for (let guess = 0; guess < 10; guess++)
      expect((await post(started, NOTICE, bearer(`wrong-${guess}`))).status).toBe(401)
    for (const token of [ADMIN_TOKEN, BROADCAST_TOKEN])
      expect([
        (await post(started, NOTICE, bearer(token))).status,
        (await askSessions(token)).status,
      ]).toEqual([429, 429])
    expect(started.broadcasts).toHaveLength(1)
  })
})
