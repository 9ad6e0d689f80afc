import { describe, expect, test } from 'vitest'
import { userOwner } from '../../src/session/owners.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { Store } from '../../src/store/store.ts'
import { userDigest } from '../../src/telemetry/log.ts'
import { ISSUER, OPERATOR, startAdmin as start } from '../support/started-admin.ts'
import { DAY_MS, newSession, outage, STARTED_AT, sessionOf } from '../support/started-sessions.ts'

interface Listed {
  readonly sessions: readonly { readonly id: string; readonly subject: string }[]
  readonly truncated: boolean
}

const list = async ({ ask }: ReturnType<typeof start>, query = ''): Promise<Listed> => {
  const response = await ask('GET', `/admin/sessions${query}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Listed
}
const idsOf = ({ sessions }: Listed) => sessions.map(({ id }) => id)
const at = (ms: number) => new Date(ms).toISOString()

describe('the list of sessions', () => {
  test('says of a session what can be known without its cookie, and nothing that lets anybody in', async () => {
    const started = start()
    const id = await started.openFor('alice')
    const response = await started.ask('GET', '/admin/sessions?user=alice')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual({
      sessions: [
        {
          id,
          subject: 'alice',
          display_name: 'Alice',
          created: at(STARTED_AT),
          ends: at(STARTED_AT + DAY_MS),
          address: '203.0.113.7',
        },
      ],
      truncated: false,
    })
  })

  test('has no token, no e-mail and no owner in it', async () => {
    const started = start()
    await started.openFor('alice')
    const text = await (await started.ask('GET', '/admin/sessions')).text()
    const { idToken, accessToken } = newSession.tokens
    for (const secret of [idToken, accessToken, 'alice@example.com', 'owner', 'admins']) {
      expect(text).not.toContain(secret)
    }
  })

  test('is of one user, or of all, the newest first', async () => {
    const started = start()
    const first = await started.openFor('alice')
    started.elapse(1000)
    const second = await started.openFor('alice')
    started.elapse(1000)
    const other = await started.openFor('bob')
    expect(idsOf(await list(started, '?user=alice'))).toEqual([second, first])
    expect(idsOf(await list(started))).toEqual([other, second, first])
    expect(await list(started, '?user=carol')).toEqual({ sessions: [], truncated: false })
  })

  test('keeps users of another issuer apart', async () => {
    const started = start()
    const ours = await started.openFor('alice')
    const theirs = await started.openFor('alice', 'https://other.example.com/')
    const iss = encodeURIComponent('https://other.example.com/')
    expect(idsOf(await list(started, '?user=alice'))).toEqual([ours])
    expect(idsOf(await list(started, `?user=alice&iss=${iss}`))).toEqual([theirs])
    expect(idsOf(await list(started, `?iss=${encodeURIComponent(ISSUER)}&user=alice`))).toEqual([
      ours,
    ])
  })

  test('ends after a thousand, and says that there are more', async () => {
    const started = start({ sessions: { store: createMemoryStore() } })
    for (let count = 0; count < 1000; count++) await started.open(sessionOf(`user-${count % 20}`))
    expect(await list(started)).toMatchObject({ truncated: false })
    await started.open()
    const { sessions, truncated } = await list(started)
    expect([sessions.length, truncated]).toEqual([1000, true])
  })

  test.for(['*', 'a b', 'a+b', 'Zoë', '../..', '{tag}', "a'; DROP", 'a\r\nb', '__proto__', '%'])(
    'finds a user by any sub: %j',
    async (sub, { expect }) => {
      const started = start()
      await started.openFor('alice')
      const id = await started.openFor(sub)
      expect(idsOf(await list(started, `?user=${encodeURIComponent(sub)}`))).toEqual([id])
    },
  )

  test('is looked at by somebody, which is logged without a name', async () => {
    const started = start()
    await started.openFor('alice')
    await list(started, '?user=alice')
    await list(started)
    const looked = { event: 'sessions_listed', client: OPERATOR, count: 1 }
    expect(started.lines).toMatchObject([{ ...looked, user: userDigest(ISSUER, 'alice') }, looked])
    expect(JSON.stringify(started.lines)).not.toMatch(/alice/i)
  })
})

describe('the end of sessions', () => {
  test('of one, by its id', async () => {
    const started = start()
    const [id, other] = [await started.openFor('alice'), await started.openFor('alice')]
    const response = await started.ask('DELETE', `/admin/sessions/${id}`)
    expect([response.status, await response.json()]).toEqual([200, { ended: 1 }])
    expect(idsOf(await list(started))).toEqual([other])
    const again = await started.ask('DELETE', `/admin/sessions/${id}`)
    expect([again.status, await again.json()]).toEqual([
      404,
      { error: 'not_found', message: 'There is no such session.' },
    ])
  })

  test('of a user, and of nobody else', async () => {
    const started = start()
    for (const sub of ['alice', 'bob', 'alice']) await started.openFor(sub)
    await started.openFor('alice', 'https://other.example.com')
    const response = await started.ask('DELETE', '/admin/sessions?user=alice')
    expect([response.status, await response.json()]).toEqual([200, { ended: 2 }])
    expect((await list(started)).sessions).toHaveLength(2)
    expect((await list(started, '?user=bob')).sessions).toHaveLength(1)
  })

  test('of everybody', async () => {
    const started = start()
    for (const sub of ['alice', 'bob', 'carol']) await started.openFor(sub)
    const response = await started.ask('DELETE', '/admin/sessions?all=true')
    expect([response.status, await response.json()]).toEqual([200, { ended: 3 }])
    expect((await list(started)).sessions).toEqual([])
  })

  test.for(['?user=alice', '?all=true'])(
    'of none is no failure, and a sign-in that has begun loses: %s',
    async (query) => {
      const started = start()
      const generation = await started.sessions.currentGeneration()
      const response = await started.ask('DELETE', `/admin/sessions${query}`)
      expect([response.status, await response.json()]).toEqual([200, { ended: 0 }])
      const owners = { user: userOwner(ISSUER, 'alice').id }
      const metadata = { ...newSession.metadata, owners }
      const tokens = { ...newSession.tokens, generation }
      await expect(started.open({ metadata, tokens })).rejects.toMatchObject({
        code: 'sign_in_failed',
      })
      expect((await list(started)).sessions).toEqual([])
    },
  )

  test('is one line in the log and counted: who, whose, how many, and that tokens live on', async () => {
    const started = start()
    const id = await started.openFor('alice')
    for (let count = 0; count < 2; count++) await started.openFor('robert')
    const answers = [
      await started.ask('DELETE', `/admin/sessions/${id}`),
      await started.ask('DELETE', '/admin/sessions?user=robert'),
      await started.ask('DELETE', '/admin/sessions?all=true'),
    ]
    const ended = { event: 'sessions_ended', client: OPERATOR, tokens_revoked: false }
    expect(started.lines).toMatchObject([
      { ...ended, session: id, count: 1 },
      { ...ended, user: userDigest(ISSUER, 'robert'), count: 2 },
      { ...ended, all: true, count: 0 },
    ])
    expect(started.lines.map((line) => line['request_id'])).toEqual(
      answers.map(({ headers }) => headers.get('x-request-id')),
    )
    // Long names, because a digest may contain a short one by chance.
    expect(JSON.stringify(started.lines)).not.toMatch(/alice|robert/i)
    expect(await started.readMetric('vestibule_sessions_ended_by_operators_total')).toBe(3)
  })

  const badRequests = [
    ['DELETE', ''],
    ['DELETE', '?'],
    ['DELETE', '?user='],
    ['DELETE', '?all='],
    ['DELETE', '?all=1'],
    ['DELETE', '?all=TRUE'],
    ['DELETE', '?all=false'],
    ['DELETE', '?user=alice&all=true'],
    ['DELETE', '?all=false&user=alice'],
    ['DELETE', '?user=alice&user=bob'],
    ['DELETE', '?all=true&all=true'],
    ['DELETE', '?all=true&iss=https://id.example.com'],
    ['DELETE', '?iss=https://id.example.com'],
    ['DELETE', '?user=alice&iss='],
    ['DELETE', '?user=alice&iss=a&iss=b'],
    ['DELETE', '?usr=alice&all=true'],
    ['DELETE', '?user=alice&__proto__=x'],
    ['DELETE', '?User=alice'],
    ['DELETE', '/short'],
    ['DELETE', `/${'a'.repeat(42)}`],
    ['DELETE', `/${'a'.repeat(44)}`],
    ['DELETE', `/${'a'.repeat(42)}*`],
    ['DELETE', `/${'a'.repeat(42)}%0a`],
    ['DELETE', '/*'],
    ['DELETE', `/${'a'.repeat(43)}?user=alice`],
    ['DELETE', `/${'a'.repeat(43)}?all=true`],
    ['GET', '?user='],
    ['GET', '?user=alice&user=alice'],
    ['GET', '?iss=https://id.example.com'],
    ['GET', '?all=true'],
    ['GET', '?limit=5'],
  ] as const
  test.for(badRequests)('%s /admin/sessions%s is 400 and ends nothing', async ([method, path]) => {
    const started = start()
    for (const sub of ['alice', 'bob']) await started.openFor(sub)
    const response = await started.ask(method, `/admin/sessions${path}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: 'invalid_request',
      message: expect.any(String) as string,
    })
    expect((await list(started)).sessions).toHaveLength(2)
  })

  test.for([
    ['POST', '/admin/sessions'],
    ['PUT', `/admin/sessions/${'a'.repeat(43)}`],
    ['GET', `/admin/sessions/${'a'.repeat(43)}`],
    ['DELETE', '/admin/sessions/'],
    ['DELETE', `/admin/sessions/${'a'.repeat(43)}/more`],
    ['DELETE', '/admin/Sessions?all=true'],
  ] as const)('%s %s is not there', async ([method, path]) => {
    const started = start()
    await started.openFor('alice')
    expect((await started.ask(method, path)).status).toBe(404)
    expect((await list(started)).sessions).toHaveLength(1)
  })
})

describe('while the store is away', () => {
  /** Goes away when it is told to, also in the middle of its work. */
  const startFailing = () => {
    let worksFor = Number.POSITIVE_INFINITY
    const work = () => (worksFor-- > 0 ? undefined : outage())
    const started = start({
      sessions: {
        wrap: (store: Store) => ({
          ...store,
          async end(...args) {
            work()
            await store.end(...args)
          },
          async read(...args) {
            work()
            return store.read(...args)
          },
        }),
      },
    })
    return {
      ...started,
      fail: (after = 0) => {
        worksFor = after
      },
      work: () => {
        worksFor = Number.POSITIVE_INFINITY
      },
    }
  }

  test.for([
    ['one', 0],
    ['one', 1],
    ['?user=alice', 0],
    ['?user=alice', 3],
    ['?all=true', 0],
    ['?all=true', 3],
  ] as const)(
    '%s: the answer is 503, and asking again ends the rest (%i)',
    async ([what, after]) => {
      const started = startFailing()
      const ids: string[] = []
      for (let count = 0; count < 3; count++) ids.push(await started.openFor('alice'))
      const path = `/admin/sessions${what === 'one' ? `/${ids[0]}` : what}`
      started.fail(after)
      const response = await started.ask('DELETE', path)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(await response.json()).toMatchObject({
        error: 'store_unavailable',
        message: 'some sessions may not have ended: repeat the request',
      })
      expect(started.lines.map(({ event }) => event)).toEqual(['sessions_not_ended', 'refused'])
      expect(started.lines[0]).toMatchObject({ client: OPERATOR })
      expect(started.lines[0]).toMatchObject({ deferred: true })
      expect(started.sessions.revocations.waiting).toBe(1)
      started.work()
      expect((await started.ask('DELETE', path)).status).toBe(200)
      expect((await list(started)).sessions).toHaveLength(what === 'one' ? 2 : 0)
    },
  )

  test.for(['one', '?user=alice', '?all=true'])(
    'C73: %s: the order waits, and is carried out when the store is back',
    async (what, { expect }) => {
      const started = startFailing()
      const ids: string[] = []
      for (let count = 0; count < 3; count++) ids.push(await started.openFor('alice'))
      started.fail()
      await started.ask('DELETE', `/admin/sessions${what === 'one' ? `/${ids[0]}` : what}`)
      started.work()
      await started.sessions.revocations.flush()
      expect((await list(started)).sessions).toHaveLength(what === 'one' ? 2 : 0)
    },
  )

  test('the list is 503, not a part of it', async () => {
    const started = startFailing()
    for (let count = 0; count < 3; count++) await started.openFor('alice')
    started.fail(2)
    for (const query of ['', '?user=alice']) {
      const response = await started.ask('GET', `/admin/sessions${query}`)
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
      expect(await response.text()).not.toContain('Alice')
    }
    expect(started.lines.map(({ event }) => event)).toEqual(['refused'])
  })
})
