import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createInternalApp } from '../../src/app.ts'
import { AuthError } from '../../src/errors.ts'
import { createAddresses } from '../../src/routes/addresses.ts'
import { createAdmin } from '../../src/routes/admin.ts'
import { plain } from '../../src/routes/answers.ts'
import { createPageWriter } from '../../src/routes/pages/write.ts'
import { createRefusals } from '../../src/routes/refusals.ts'
import type { MessageBody, Region } from '../../src/store/backplane-message.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { rawRequest } from '../support/raw-request.ts'

const TOKEN = 'the-token-of-operators-0123456789'
const signed = { Authorization: `Bearer ${TOKEN}` }

interface Options {
  readonly token?: string | undefined
  readonly publish?: () => Promise<void>
}

/** `/admin` on the internal listener, over two caches and a backplane that does as told. */
const start = (options: Options = {}) => {
  const { token, publish } = { token: TOKEN, publish: async () => undefined, ...options }
  const events: string[] = []
  const published: MessageBody[] = []
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (text) => lines.push(JSON.parse(text) as Record<string, unknown>) })
  const sizes: Record<Region, number> = { sessions: 3, tokens: 2 }
  const admin = createAdmin({
    token,
    caches: {
      clear: (region) => {
        events.push(`cleared ${region}`)
        sizes[region] = 0
      },
      size: (region) => sizes[region],
    },
    state: {
      backplane: {
        epoch: 1,
        publish: async (body) => {
          events.push('published')
          published.push(body)
          await publish()
        },
      },
    },
    log,
  })
  const metrics = createMetrics({
    openedSessions: () => 0,
    isProviderDiscovered: () => true,
    revocationsWaiting: () => 0,
  })
  const refuse = createRefusals({
    addresses: createAddresses({ basePath: '/oauth2', publicSite: undefined, hosts: [] }),
    clientOf: () => undefined,
    writePage: createPageWriter(() => []),
    log,
    metrics,
  })
  const other = () => plain(200)
  const routes = { check: other, livez: other, readyz: other, startupz: other, health: other }
  const app = createInternalApp({ ...routes, admin }, metrics.registry, refuse)
  return {
    events,
    published,
    lines,
    ask: async (
      method: string,
      path: string,
      headers: Readonly<Record<string, string>> = signed,
    ): Promise<Response> =>
      app.request(
        `http://vestibule:4181${path}`,
        { method, headers },
        {
          incoming: rawRequest(headers),
        },
      ),
  }
}

const PATHS = [
  ['GET', '/admin/cache'],
  ['DELETE', '/admin/cache'],
  ['DELETE', '/admin/cache/sessions'],
  ['DELETE', '/admin/cache/everything'],
  ['POST', '/admin/cache'],
  ['GET', '/admin'],
  ['GET', '/admin/'],
  ['GET', '/admin/other'],
] as const

describe('without ADMIN_TOKEN', () => {
  test.for(PATHS)('%s %s is not there, whoever asks', async ([method, path], { expect }) => {
    const { ask, events } = start({ token: undefined })
    for (const headers of [{}, signed, { Authorization: 'Bearer ' }]) {
      const response = await ask(method, path, headers)
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
    for (const [method, path] of PATHS) {
      const response = await ask(method, path, headers)
      expect(response.status, `${method} ${path}`).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="vestibule admin"')
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(await response.text()).not.toContain(TOKEN)
    }
    expect(events).toEqual([])
  })

  test.for(['Bearer', 'bearer', 'BEARER'])('%s is the scheme', async (scheme, { expect }) => {
    const { ask } = start()
    const response = await ask('GET', '/admin/cache', { Authorization: `${scheme} ${TOKEN}` })
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
    '/admin/cache?region=',
    '/admin/cache/Sessions',
    '/admin/cache/__proto__',
  ])('DELETE %s is no region: nothing is cleared', async (path, { expect }) => {
    const { ask, events } = start()
    const response = await ask('DELETE', path)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: 'invalid_request',
      message: expect.stringMatching(
        /^There is no region .*; there are sessions and tokens\.$/,
      ) as string,
    })
    expect(events).toEqual([])
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
    expect(lines.map(({ event }) => event)).toEqual(['refused'])
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
