import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import {
  OPERATOR,
  signed,
  startAdmin as start,
  ADMIN_TOKEN as TOKEN,
} from '../support/started-admin.ts'
import { words } from '../support/words.ts'

const paths = (method: string, all: readonly string[]) =>
  all.map((path) => [method, `/admin${path}`] as const)
const ID = `/sessions/${'a'.repeat(43)}`
const REGION_TWICE = 'The parameter region is empty or was sent more than once.'
const PATHS = [
  ...paths('GET', ['', ...words`/cache / /other /sessions /denied-tokens`]),
  ...paths('DELETE', words`/cache /cache/sessions /cache/everything /sessions?all=true`),
  ...paths('DELETE', [ID, `/cache${ID}`]),
  ...paths('POST', words`/cache /denied-tokens /broadcast /explain`),
]

describe('without ADMIN_TOKEN', () => {
  test.for(PATHS)('%s %s is not there, whoever asks', async ([method, path]) => {
    const { ask, events } = start({ token: undefined })
    for (const headers of [{}, signed, { Authorization: 'Bearer ' }]) {
      const response = await ask(method, path, { headers })
      expect([response.status, await response.text()]).toEqual([404, 'not found\n'])
      expect(response.headers.get('www-authenticate')).toBeNull()
    }
    expect(events).toEqual([])
  })
})

describe('with ADMIN_TOKEN', () => {
  const authorizations = words`
    Bearer Bearer\x20 Bearer\x20another Bearer\x20${TOKEN.slice(0, -1)} Bearer\x20${TOKEN}x
    Bearer\x20${TOKEN.toUpperCase()} Bearer\x20${TOKEN},\x20Bearer\x20${TOKEN} ${TOKEN}
    Basic\x20${btoa(`admin:${TOKEN}`)} Basic\x20${TOKEN} DPoP\x20${TOKEN}
  `
  test.for<readonly [string, Readonly<Record<string, string>>]>([
    ['nothing', {}],
    ['it in another header', { 'X-Admin-Token': TOKEN, Cookie: `ADMIN_TOKEN=${TOKEN}` }],
    ['it in a header that resembles', { 'X-Original-Authorization': `Bearer ${TOKEN}` }],
    ['a local address', { 'X-Forwarded-For': '127.0.0.1' }],
    ...['', ...authorizations].map((Authorization) => [Authorization, { Authorization }] as const),
  ])('%s opens nothing (A93)', async ([, headers]) => {
    const { ask, events } = start()
    for (const [at, [method, path]] of PATHS.entries()) {
      const response = await ask(method, path, { headers, from: `10.0.0.${at}` })
      expect(response.status, `${method} ${path}`).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="vestibule admin"')
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(await response.text()).not.toContain(TOKEN)
    }
    expect(events).toEqual([])
  })

  test.for(['Bearer', 'bearer', 'BEARER'])('%s is the scheme', async (scheme) => {
    const { ask } = start()
    const response = await ask('GET', '/admin/cache', {
      headers: { Authorization: `${scheme} ${TOKEN}` },
    })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ entries: { sessions: 3, tokens: 2 } })
    expect(response.headers.get('cache-control')).toBe('no-store')
  })

  test.for([
    ['/admin/cache', ['sessions', 'tokens'], { type: 'clear-all' }],
    ['/admin/cache/sessions', ['sessions'], { type: 'clear', region: 'sessions' }],
    ['/admin/cache/tokens', ['tokens'], { type: 'clear', region: 'tokens' }],
    ['/admin/cache?region=tokens', ['tokens'], { type: 'clear', region: 'tokens' }],
  ] as const)('DELETE %s clears %o here and then everywhere', async ([path, regions, body]) => {
    const { ask, answer, events, published, lines } = start()
    const response = await ask('DELETE', path)
    expect([response.status, await response.json()]).toEqual([200, { cleared: regions }])
    expect(events).toEqual([...regions.map((region) => `cleared ${region}`), 'published'])
    expect(published).toEqual([body])
    const request_id = response.headers.get('x-request-id')
    expect(lines).toMatchObject([{ event: 'cache_cleared', regions, request_id }])
    const [, left] = await answer('GET', '/admin/cache')
    for (const region of regions) expect(left).toHaveProperty(['entries', region], 0)
  })

  test('DELETE /admin/cache/sessions/ID evicts one session here and then everywhere', async () => {
    const { ask, events, published, lines } = start()
    const session = 'a'.repeat(43)
    const response = await ask('DELETE', `/admin/cache/sessions/${session}`)
    expect([response.status, await response.json()]).toEqual([200, { evicted: session }])
    expect(events).toEqual([`evicted ${session}`, 'published'])
    expect(published).toEqual([{ type: 'evict', session, forget: true }])
    expect(lines).toMatchObject([{ event: 'cache_cleared', session, client: OPERATOR }])
  })

  test.for([
    ...words`/sessions/a /sessions/${'a'.repeat(44)} /sessions/${'a'.repeat(42)}.`.map(
      (path) => ['DELETE', path, 'The path does not end in a session id.'] as const,
    ),
    ['DELETE', `${ID}?all=true`, 'This endpoint has no parameters.'],
    ...[...words`/everything ?region=Tokens /Sessions /__proto__`].map(
      (path) =>
        ['DELETE', path, 'There is no such region; the regions are sessions and tokens.'] as const,
    ),
    ['DELETE', '?regio=tokens', 'The known parameters are: region.'],
    ['DELETE', '?region=tokens&all=true', 'The known parameters are: region.'],
    ['DELETE', '?region=', REGION_TWICE],
    ['DELETE', '?region=tokens&region=tokens', REGION_TWICE],
    ['DELETE', '/tokens?region=tokens', 'This endpoint has no parameters.'],
    ['DELETE', '/tokens?x', 'This endpoint has no parameters.'],
    ['GET', '?region=tokens', 'This endpoint has no parameters.'],
  ] as const)('%s /admin/cache%s is refused and does nothing', async ([method, path, message]) => {
    const { answer, events, eventCodes } = start()
    const [status, body] = await answer(method, `/admin/cache${path}`)
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: 'invalid_request', message })
    expect([events, eventCodes()]).toEqual([[], ['refused']])
  })

  test('every answer has the number of its request', async () => {
    const asked = { 'X-Request-Id': 'request-1' }
    const unsigned = { Authorization: 'Bearer wrong' }
    for (const [method, path] of [...PATHS, ['GET', '/admin/cache?x=y'] as const]) {
      const answers = [
        await start({ token: undefined }).ask(method, path, { headers: { ...signed, ...asked } }),
        await start().ask(method, path, { headers: { ...signed, ...asked } }),
        await start().ask(method, path, { headers: { ...unsigned, ...asked } }),
      ]
      for (const { headers } of answers) {
        expect(headers.get('x-request-id'), `${method} ${path}`).toBe('request-1')
      }
    }
    const { ask } = start()
    for (let guess = 0; guess <= 10; guess++) {
      const answer = await ask('GET', '/admin/cache', { headers: unsigned })
      expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/)
    }
  })

  test('a look at the caches is one line in the log', async () => {
    const { ask, lines } = start()
    const response = await ask('GET', '/admin/cache')
    const operator = { client: OPERATOR, request_id: response.headers.get('x-request-id') }
    expect(lines).toMatchObject([{ event: 'cache_shown', ...operator }])
  })

  test.for([
    ...paths('GET', ['', '/cache/sessions', '/other', ID]),
    ...paths('POST', ['/cache', '/sessions']),
    ...paths('PUT', ['/cache/sessions', '/denied-tokens', ID]),
    ...paths('PATCH', ['/denied-tokens']),
    ...paths(
      'DELETE',
      words`/cache/tokens/more /sessions/ /Sessions?all=true /denied-tokens ${ID}/more`,
    ),
  ])('%s %s is not there', async ([method, path]) => {
    const { ask, events } = start()
    expect([(await ask(method, path)).status, events]).toEqual([404, []])
  })

  test('where the other replicas cannot be told it says so, and has cleared here', async () => {
    const away = async () => {
      throw new AuthError('store_unavailable', 'Redis: connection at 10.1.2.3')
    }
    const { ask, answer, events, lines } = start({ publish: away })
    const response = await ask('DELETE', '/admin/cache')
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    const body = await response.text()
    const message = 'the other replicas could not be told'
    expect(JSON.parse(body)).toMatchObject({ error: 'store_unavailable', message })
    expect(body).not.toContain('10.1.2.3')
    expect(events).toEqual(['cleared sessions', 'cleared tokens', 'published'])
    expect(lines).toMatchObject([
      { event: 'cache_not_cleared', regions: ['sessions', 'tokens'], client: OPERATOR },
      { event: 'refused' },
    ])
    const entries = { sessions: 0, tokens: 0 }
    expect(await answer('GET', '/admin/cache')).toEqual([200, { entries }])
  })

  test('the token is in no answer and no log', async () => {
    const { ask, lines } = start()
    for (const [method, path] of PATHS) {
      expect(await (await ask(method, path)).text()).not.toContain(TOKEN)
    }
    expect(lines.length).toBeGreaterThan(0)
    expect(JSON.stringify(lines)).not.toContain(TOKEN)
  })
})

describe('the guard of /admin', () => {
  const wrong = { Authorization: 'Bearer wrong' }
  afterEach(() => vi.restoreAllMocks())

  const startAt = () => {
    // Whole, so that sums of it are exact.
    let nowMs = Math.ceil(performance.now())
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
    return {
      ...start(),
      elapse: async (ms: number) => {
        nowMs += ms
        await pause(5)
      },
    }
  }
  const statusOf = async (
    { ask }: ReturnType<typeof start>,
    headers: Readonly<Record<string, string>>,
    from = '10.0.0.1',
  ) => (await ask('GET', '/admin/cache', { headers, from })).status
  const guess = async (started: ReturnType<typeof start>, times: number): Promise<void> => {
    for (let count = 0; count < times; count++) await statusOf(started, wrong)
  }

  test('lets nobody guess for long from one address, and others are not held up', async () => {
    const started = startAt()
    for (let count = 0; count < 10; count++) expect(await statusOf(started, wrong)).toBe(401)
    await started.elapse(20_000)
    for (const headers of [wrong, signed, {}]) {
      const response = await started.ask('GET', '/admin/cache', { headers, from: '10.0.0.1' })
      expect([response.status, await response.text()]).toEqual([429, 'too many wrong tokens\n'])
      expect(Number(response.headers.get('retry-after'))).toBe(40)
      expect(response.headers.get('cache-control')).toBe('no-store')
    }
    expect(await statusOf(started, signed, '10.0.0.2')).toBe(200)
    expect(await statusOf(started, wrong, '10.0.0.2')).toBe(401)
  })

  test('listens again a minute after the first wrong one, however many came since', async () => {
    const started = startAt()
    await guess(started, 1)
    await started.elapse(30_000)
    await guess(started, 30)
    await started.elapse(29_000)
    expect(await statusOf(started, signed)).toBe(429)
    await started.elapse(2000)
    expect(await statusOf(started, signed)).toBe(200)
  })

  test('does not count those who send no token, nor a few that were mistyped', async () => {
    const started = startAt()
    for (let attempt = 0; attempt < 30; attempt++) {
      for (const headers of [{}, { Authorization: 'Bearer ' }]) {
        expect(await statusOf(started, headers)).toBe(401)
      }
    }
    await guess(started, 9)
    expect(await statusOf(started, signed)).toBe(200)
  })

  test('goes by the other end of the connection, whatever headers say', async () => {
    const started = startAt()
    const from = '::ffff:10.0.0.1'
    for (let guess = 0; guess < 12; guess++) {
      const forwarded = { 'X-Forwarded-For': `192.0.2.${guess}`, Forwarded: `for=192.0.2.${guess}` }
      await started.ask('GET', '/admin/cache', { headers: { ...wrong, ...forwarded }, from })
    }
    expect(await statusOf(started, signed)).toBe(429)
    expect(new Set(started.lines.map(({ client }) => client))).toEqual(new Set(['10.0.0.1']))
  })

  test('says who was refused, once a second, and how many that leaves out', async () => {
    const started = startAt()
    await guess(started, 12)
    await started.elapse(1001)
    await guess(started, 1)
    const told = { event: 'admin_refused', client: '10.0.0.1' }
    expect(started.lines).toMatchObject([
      { ...told, status: 401 },
      { ...told, status: 429, suppressed: 11 },
    ])
    expect(JSON.stringify(started.lines)).not.toContain('wrong')
  })
})
