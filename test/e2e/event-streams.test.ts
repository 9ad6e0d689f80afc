import { describe, expect, test } from 'vitest'
import { openEvents, publicOrigin, untilEvents } from '../support/event-client.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { readMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { startRelyingParty } from '../support/relying-party.ts'

const OTHER = 'https://other.example.com'

type Asked = Partial<Parameters<typeof openEvents>[0]>

const world = prepared(async () => {
  const party = await startRelyingParty({
    ADMIN_TOKEN,
    PROTECTED_HOSTS: 'app.example.com,other.example.com,http://dev.localhost:8080',
  })
  const { vestibule } = party
  return {
    ...party,
    cookie: await vestibule.signIn('alice'),
    open: (asked: Asked) => openEvents({ origin: publicOrigin(vestibule), ...asked }),
    broadcast: (sent: object) =>
      askAdmin(vestibule, 'POST', 'broadcast', { event: 'notice', ...sent }),
    /** Streams that have been closed because their clients left. */
    left: async () =>
      /closed_total{reason="left"} \d+/.exec((await vestibule.internal('/metrics')).body)?.[0],
    health: async () =>
      JSON.parse((await vestibule.internal('/health')).body) as { events: unknown },
  }
})

test('a stream has headers that keep proxies from keeping, compressing and gathering it', async () => {
  using client = await world().open({ cookie: world().cookie })
  expect(client.status).toBe(200)
  expect(client.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    connection: 'close',
    vary: 'Cookie, Authorization, Origin',
  })
  expect(client.headers).not.toHaveProperty('content-encoding')
  expect(client.headers).not.toHaveProperty('access-control-allow-origin')
  expect(client.text()).toMatch(/^retry: \d{4}\nid: 0-0\nsession: [\w-]{16}\n\n$/)
  expect(await world().health()).toMatchObject({ events: { streams: 1, findings: [] } })
})

describe('a request for events', () => {
  const origin = (value: string | undefined, site?: string) => ({
    headers: { Origin: value, 'Sec-Fetch-Site': site },
  })
  test.for<[string, Asked, number, boolean]>([
    ['of no session', { cookie: '' }, 401, false],
    ['of no session, from a protected host', { cookie: '', ...origin(OTHER) }, 401, true],
    ['from the own origin', origin('https://app.example.com'), 200, true],
    ['from a protected host', origin(OTHER, 'same-site'), 200, true],
    ['from a protected host with http and a port', origin('http://dev.localhost:8080'), 200, true],
    ['from another scheme of a protected host', origin('http://other.example.com'), 403, false],
    ['from another port of a protected host', origin(`${OTHER}:8443`), 403, false],
    ['from the same host without its port', origin('http://dev.localhost'), 403, false],
    ['from a foreign host', origin('https://evil.example'), 403, false],
    ['from a host that only begins like one', origin(`${OTHER}.evil.example`), 403, false],
    ['from a page of no origin', origin('null'), 403, false],
    ['from an element of a foreign page', origin(undefined, 'cross-site'), 403, false],
    ['from an element of a sibling page', origin(undefined, 'same-site'), 403, false],
    ['from an element of its own page', origin(undefined, 'same-origin'), 200, false],
    ['from the address bar', origin(undefined, 'none'), 200, false],
    ['from a program', origin(undefined, undefined), 200, false],
  ])('%s gets the answer that it should', async ([, asked, status, isShared]) => {
    using client = await world().open({ cookie: world().cookie, ...asked })
    expect(client.status).toBe(status)
    const shared = client.headers['access-control-allow-origin']
    expect(shared).toBe(isShared ? (asked.headers?.['Origin'] as string) : undefined)
    expect(client.headers['access-control-allow-credentials']).toBe(isShared ? 'true' : undefined)
    const exposed = isShared ? 'Retry-After' : undefined
    expect(client.headers['access-control-expose-headers']).toBe(exposed)
    expect(client.headers['vary']).toBe('Cookie, Authorization, Origin')
  })

  test.for([
    ['HEAD', OTHER, 200],
    ['OPTIONS', OTHER, 204],
    ['OPTIONS', 'https://evil.example', 403],
    ['POST', OTHER, 404],
  ] as const)(
    'by %s from %s is answered with %i and opens no stream',
    async ([method, from, status]) => {
      const { open, cookie, health, left } = world()
      await until('no stream is open', async () =>
        JSON.stringify(await health()).includes('"streams":0'),
      )
      const before = await left()
      using client = await open({ cookie, method, headers: { Origin: from } })
      expect([client.status, client.text()]).toEqual([status, expect.not.stringContaining('retry')])
      expect([await health(), await left()]).toMatchObject([{ events: { streams: 0 } }, before])
      if (status === 204)
        expect(client.headers).toMatchObject({
          'access-control-allow-headers': 'Last-Event-ID',
          'access-control-allow-methods': 'GET',
          'access-control-max-age': '7200',
        })
    },
  )
})

test('the end of a session is told with its reason, to a request after it as well', async () => {
  const { open, vestibule } = world()
  const cookie = await vestibule.signIn('bob')
  using client = await open({ cookie })
  await askAdmin(vestibule, 'DELETE', 'sessions?user=bob')
  expect(await client.ended).toBe('complete')
  expect(client.events).toMatchObject([{ name: 'session-ended', data: '{"reason":"operator"}' }])
  expect(await readMetric(vestibule, 'vestibule_events_sent_total{kind="session-ended"}')).toBe(1)
  using after = await open({ cookie })
  expect([after.status, JSON.parse(after.text())]).toEqual([
    401,
    {
      error: 'login_required',
      login_url: 'https://app.example.com/oauth2/login?rd=https%3A%2F%2Fapp.example.com%2F',
      reason: 'operator',
    },
  ])
})

test('a broadcast reaches the pages of its host, and a client that comes back', async () => {
  const { open, cookie, broadcast } = world()
  using here = await open({ cookie })
  using there = await open({ cookie, headers: { Origin: OTHER } })
  await broadcast({ data: 1, host: 'other.example.com' })
  await broadcast({ data: 2 })
  const [first, second] = await untilEvents(there, 'notice', 2)
  expect([first?.data, second?.data]).toEqual(['1', '2'])
  expect((await untilEvents(here, 'notice')).map(({ data }) => data)).toEqual(['2'])
  using back = await open({ cookie, headers: { Origin: OTHER, 'Last-Event-ID': first?.id } })
  expect((await untilEvents(back, 'notice')).map(({ data }) => data)).toEqual(['2'])
  using malformed = await open({ cookie, headers: { 'Last-Event-ID': '1-1\u00e9' } })
  expect(malformed.text()).toContain(`id: ${second?.id}\n`)
})

test('a replica that stops ends its streams with a time at which each comes back', async () => {
  await using party = await startRelyingParty()
  const cookie = await party.vestibule.signIn('alice')
  using client = await openEvents({ origin: publicOrigin(party.vestibule), cookie })
  void party.vestibule.stop()
  expect(await client.ended).toBe('complete')
  expect(client.retriesMs).toHaveLength(2)
})
