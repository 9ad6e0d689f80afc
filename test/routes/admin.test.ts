import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import {
  OPERATOR,
  signed,
  startAdmin as start,
  ADMIN_TOKEN as TOKEN,
} from '../support/started-admin.ts'

const PATHS = [
  ['GET', '/admin/cache'],
  ['DELETE', '/admin/cache'],
  ['DELETE', '/admin/cache/sessions'],
  ['DELETE', '/admin/cache/everything'],
  ['POST', '/admin/cache'],
  ['GET', '/admin'],
  ['GET', '/admin/'],
  ['GET', '/admin/other'],
  ['GET', '/admin/sessions'],
  ['DELETE', '/admin/sessions?all=true'],
  ['DELETE', `/admin/sessions/${'a'.repeat(43)}`],
  ['GET', '/admin/denied-tokens'],
  ['POST', '/admin/denied-tokens'],
] as const

describe('without ADMIN_TOKEN', () => {
  test.for(PATHS)('%s %s is not there, whoever asks', async ([method, path], { expect }) => {
    const { ask, events } = start({ token: undefined })
    for (const headers of [{}, signed, { Authorization: 'Bearer ' }]) {
      const response = await ask(method, path, { headers })
      expect(response.status).toBe(404)
      expect(await response.text()).toBe('not found\n')
      expect(response.headers.get('www-authenticate')).toBeNull()
    }
    expect(events).toEqual([])
  })
})

describe('with ADMIN_TOKEN', () => {
  test.for<[string, Readonly<Record<string, string>>]>([
    ['nothing', {}],
    ['an empty header', { Authorization: '' }],
    ['no token', { Authorization: 'Bearer' }],
    ['an empty token', { Authorization: 'Bearer ' }],
    ['another token', { Authorization: 'Bearer another' }],
    ['a part of it', { Authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['more than it', { Authorization: `Bearer ${TOKEN}x` }],
    ['it in capitals', { Authorization: `Bearer ${TOKEN.toUpperCase()}` }],
    ['it twice', { Authorization: `Bearer ${TOKEN}, Bearer ${TOKEN}` }],
    ['it without a scheme', { Authorization: TOKEN }],
    ['it as a password', { Authorization: `Basic ${btoa(`admin:${TOKEN}`)}` }],
    ['it in another scheme', { Authorization: `Basic ${TOKEN}` }],
    ['it in DPoP', { Authorization: `DPoP ${TOKEN}` }],
    ['it in another header', { 'X-Admin-Token': TOKEN, Cookie: `token=${TOKEN}` }],
  ])('%s opens nothing', async ([, headers], { expect }) => {
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

  test.for(['Bearer', 'bearer', 'BEARER'])('%s is the scheme', async (scheme, { expect }) => {
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
  ] as const)(
    'DELETE %s clears %o here and then everywhere',
    async ([path, regions, body], { expect }) => {
      const { ask, events, published, lines } = start()
      const response = await ask('DELETE', path)
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual({ cleared: regions })
      expect(events).toEqual([...regions.map((region) => `cleared ${region}`), 'published'])
      expect(published).toEqual([body])
      expect(lines).toMatchObject([{ event: 'cache_cleared', regions }])
      expect(lines[0]?.['request_id']).toBe(response.headers.get('x-request-id'))
      const left = (await (await ask('GET', '/admin/cache')).json()) as { entries: object }
      for (const region of regions) expect(left.entries).toHaveProperty(region, 0)
    },
  )

  test.for([
    '/admin/cache/everything',
    '/admin/cache?region=Tokens',
    '/admin/cache/Sessions',
    '/admin/cache/__proto__',
  ])('DELETE %s is no region: nothing is cleared', async (path, { expect }) => {
    const { ask, events } = start()
    const response = await ask('DELETE', path)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: 'invalid_request',
      message: 'There is no such region; the regions are sessions and tokens.',
    })
    expect(events).toEqual([])
  })

  test.for([
    ['DELETE', '/admin/cache?regio=tokens', 'The known parameters are: region.'],
    ['DELETE', '/admin/cache?region=tokens&all=true', 'The known parameters are: region.'],
    ['DELETE', '/admin/cache?region=', 'The parameter region is empty or was sent more than once.'],
    [
      'DELETE',
      '/admin/cache?region=tokens&region=tokens',
      'The parameter region is empty or was sent more than once.',
    ],
    ['DELETE', '/admin/cache/tokens?region=tokens', 'This endpoint has no parameters.'],
    ['DELETE', '/admin/cache/tokens?x', 'This endpoint has no parameters.'],
    ['GET', '/admin/cache?region=tokens', 'This endpoint has no parameters.'],
  ] as const)(
    '%s %s is not understood, and nothing is done',
    async ([method, path, message], { expect }) => {
      const { ask, events, lines } = start()
      const response = await ask(method, path)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ error: 'invalid_request', message })
      expect(events).toEqual([])
      expect(lines.map(({ event }) => event)).toEqual(['refused'])
    },
  )

  test('every answer has the number of its request', async () => {
    const headers = { ...signed, 'X-Request-Id': 'request-1' }
    const { 'X-Request-Id': _id, ...unsigned } = { ...headers, Authorization: 'Bearer wrong' }
    const asked = [...PATHS, ['GET', '/admin/cache?x=y'] as const]
    for (const [method, path] of asked) {
      const answers = [
        await start({ token: undefined }).ask(method, path, { headers }),
        await start().ask(method, path, { headers }),
        await start().ask(method, path, { headers: { ...unsigned, 'X-Request-Id': 'request-1' } }),
      ]
      for (const answer of answers) {
        expect(answer.headers.get('x-request-id'), `${method} ${path}`).toBe('request-1')
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
    ['POST', '/admin/cache'],
    ['PUT', '/admin/cache/sessions'],
    ['GET', '/admin/cache/sessions'],
    ['DELETE', '/admin/cache/sessions/more'],
    ['GET', '/admin/other'],
    ['GET', '/admin'],
  ] as const)('%s %s is not there', async ([method, path], { expect }) => {
    const { ask, events } = start()
    expect((await ask(method, path)).status).toBe(404)
    expect(events).toEqual([])
  })

  test('where the other replicas cannot be told it says so, and has cleared here', async () => {
    const away = async () => {
      throw new AuthError('store_unavailable', 'Redis: connection at 10.1.2.3')
    }
    const { ask, events, lines } = start({ publish: away })
    const response = await ask('DELETE', '/admin/cache')
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    const body = await response.text()
    expect(JSON.parse(body)).toMatchObject({
      error: 'store_unavailable',
      message: 'the other replicas could not be told',
    })
    expect(body).not.toContain('10.1.2.3')
    expect(events).toEqual(['cleared sessions', 'cleared tokens', 'published'])
    expect(lines).toMatchObject([
      { event: 'cache_not_cleared', regions: ['sessions', 'tokens'], client: OPERATOR },
      { event: 'refused' },
    ])
    expect(await (await ask('GET', '/admin/cache')).json()).toEqual({
      entries: { sessions: 0, tokens: 0 },
    })
  })

  test('the token is in no answer and no log', async () => {
    const { ask, lines } = start()
    for (const [method, path] of PATHS) {
      const response = await ask(method, path)
      expect(await response.text()).not.toContain(TOKEN)
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
    from: string,
  ) => (await ask('GET', '/admin/cache', { headers, from })).status

  test('lets nobody guess for long from one address, and others are not held up', async () => {
    const started = startAt()
    for (let guess = 0; guess < 10; guess++) {
      expect(await statusOf(started, wrong, '10.0.0.1')).toBe(401)
    }
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
    await statusOf(started, wrong, '10.0.0.1')
    await started.elapse(30_000)
    for (let guess = 0; guess < 30; guess++) await statusOf(started, wrong, '10.0.0.1')
    await started.elapse(29_000)
    expect(await statusOf(started, signed, '10.0.0.1')).toBe(429)
    await started.elapse(2000)
    expect(await statusOf(started, signed, '10.0.0.1')).toBe(200)
  })

  test('does not count those who send no token, nor a few that were mistyped', async () => {
    const started = startAt()
    for (let attempt = 0; attempt < 30; attempt++) {
      for (const headers of [{}, { Authorization: 'Bearer ' }]) {
        expect(await statusOf(started, headers, '10.0.0.1')).toBe(401)
      }
    }
    for (let guess = 0; guess < 9; guess++) await statusOf(started, wrong, '10.0.0.1')
    expect(await statusOf(started, signed, '10.0.0.1')).toBe(200)
  })

  test('goes by the other end of the connection, whatever headers say', async () => {
    const started = startAt()
    const from = '::ffff:10.0.0.1'
    for (let guess = 0; guess < 12; guess++) {
      const forwarded = { 'X-Forwarded-For': `192.0.2.${guess}`, Forwarded: `for=192.0.2.${guess}` }
      await started.ask('GET', '/admin/cache', { headers: { ...wrong, ...forwarded }, from })
    }
    expect(await statusOf(started, signed, '10.0.0.1')).toBe(429)
    const clients = started.lines.map(({ client }) => client)
    expect(new Set(clients)).toEqual(new Set(['10.0.0.1']))
  })

  test('says who was refused, once a second, and how many that leaves out', async () => {
    const started = startAt()
    for (let guess = 0; guess < 12; guess++) await statusOf(started, wrong, '10.0.0.1')
    await started.elapse(1001)
    await statusOf(started, wrong, '10.0.0.1')
    const told = { event: 'admin_refused', client: '10.0.0.1' }
    expect(started.lines).toMatchObject([
      { ...told, status: 401 },
      { ...told, status: 429, suppressed: 11 },
    ])
    expect(JSON.stringify(started.lines)).not.toContain('wrong')
  })
})
