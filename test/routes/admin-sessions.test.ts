import { describe, expect, test } from 'vitest'
import { userOwner } from '../../src/session/owners.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { userDigest } from '../../src/telemetry/log.ts'
import { ROOMY } from '../support/memory-bounds.ts'
import { ISSUER, OPERATOR, startAdmin as start } from '../support/started-admin.ts'
import { DAY_MS, newSession, outage, STARTED_AT, sessionOf } from '../support/started-sessions.ts'
import { rows, words } from '../support/words.ts'

interface Listed {
  readonly sessions: readonly { readonly id: string; readonly subject: string }[]
  readonly truncated: boolean
}

type Started = ReturnType<typeof start>

const list = async ({ answer }: Started, query = ''): Promise<Listed> => {
  const [status, body] = await answer('GET', `/admin/sessions${query}`)
  expect(status).toBe(200)
  return body as Listed
}
const listIds = async (started: Started, query = ''): Promise<readonly string[]> =>
  (await list(started, query)).sessions.map(({ id }) => id)
const end = ({ answer }: Started, which: string) => answer('DELETE', `/admin/sessions${which}`)
const ID = 'a'.repeat(43)
const SHORT = 'a'.repeat(42)
const at = (ms: number) => new Date(ms).toISOString()

describe('the list of sessions', () => {
  test('says of a session what can be known without its cookie, and nothing that lets anybody in', async () => {
    const started = start()
    const id = await started.openFor('alice')
    const response = await started.ask('GET', '/admin/sessions?user=alice')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('content-type')).toBe('application/json')
    const [created, ends] = [at(STARTED_AT), at(STARTED_AT + DAY_MS)]
    const alice = { id, subject: 'alice', display_name: 'Alice', address: '203.0.113.7' }
    const sessions = [{ ...alice, created, ends }]
    expect(await response.json()).toEqual({ sessions, truncated: false })
  })

  test('is of one user, or of all, the newest first', async () => {
    const started = start()
    const first = await started.openFor('alice')
    started.elapse(1000)
    const second = await started.openFor('alice')
    started.elapse(1000)
    const other = await started.openFor('bob')
    expect(await listIds(started, '?user=alice')).toEqual([second, first])
    expect(await listIds(started)).toEqual([other, second, first])
    expect(await list(started, '?user=carol')).toEqual({ sessions: [], truncated: false })
  })

  test('keeps users of another issuer apart', async () => {
    const started = start()
    const ours = await started.openFor('alice')
    const theirs = await started.openFor('alice', 'https://other.example.com/')
    const iss = encodeURIComponent('https://other.example.com/')
    expect(await listIds(started, '?user=alice')).toEqual([ours])
    expect(await listIds(started, `?user=alice&iss=${iss}`)).toEqual([theirs])
    expect(await listIds(started, `?iss=${encodeURIComponent(ISSUER)}&user=alice`)).toEqual([ours])
  })

  test('ends after a thousand, and says that there are more', async () => {
    const started = start({ sessions: { store: createMemoryStore(ROOMY) } })
    for (let count = 0; count < 1000; count++) await started.open(sessionOf(`user-${count % 20}`))
    expect(await list(started)).toMatchObject({ truncated: false })
    await started.open()
    const { sessions, truncated } = await list(started)
    expect([sessions.length, truncated]).toEqual([1000, true])
  })

  test.for(['*', 'a b', 'a+b', 'Zoë', '../..', '{tag}', "a'; DROP", 'a\r\nb', '__proto__', '%'])(
    'finds a user by any sub: %j',
    async (sub) => {
      const started = start()
      await started.openFor('alice')
      const id = await started.openFor(sub)
      expect(await listIds(started, `?user=${encodeURIComponent(sub)}`)).toEqual([id])
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
    const [id, other] = await started.openAll('alice', 'alice')
    expect(await end(started, `/${id}`)).toEqual([200, { ended: 1 }])
    expect(await listIds(started)).toEqual([other])
    const message = 'There is no such session.'
    expect(await end(started, `/${id}`)).toEqual([404, { error: 'not_found', message }])
  })

  test('of a user, and of nobody else', async () => {
    const started = start()
    await started.openAll('alice', 'bob', 'alice')
    await started.openFor('alice', 'https://other.example.com')
    expect(await end(started, '?user=alice')).toEqual([200, { ended: 2 }])
    expect((await list(started)).sessions).toHaveLength(2)
    expect((await list(started, '?user=bob')).sessions).toHaveLength(1)
  })

  test('of everybody', async () => {
    const started = start()
    await started.openAll('alice', 'bob', 'carol')
    expect(await end(started, '?all=true')).toEqual([200, { ended: 3 }])
    expect((await list(started)).sessions).toEqual([])
  })

  test.for(['?user=alice', '?all=true'])(
    'of none fails no request, but a begun sign-in: %s',
    async (query) => {
      const started = start()
      const generation = await started.sessions.currentGeneration()
      expect(await end(started, query)).toEqual([200, { ended: 0 }])
      const metadata = { ...newSession.metadata, owners: { user: userOwner(ISSUER, 'alice').id } }
      const opened = started.open({ metadata, tokens: { ...newSession.tokens, generation } })
      await expect(opened).rejects.toMatchObject({ code: 'sign_in_failed' })
      expect((await list(started)).sessions).toEqual([])
    },
  )

  test('is one line in the log and counted: who, whose, how many, and that tokens live on', async () => {
    const started = start()
    const [id] = await started.openAll('alice', 'robert', 'robert')
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
    ...words`
      ? ?user= ?all= ?all=1 ?all=TRUE ?all=false ?user=alice&all=true ?all=false&user=alice
      ?user=alice&user=bob ?all=true&all=true ?all=true&iss=https://id.example.com
      ?iss=https://id.example.com ?user=alice&iss= ?user=alice&iss=a&iss=b ?usr=alice&all=true
      ?user=alice&__proto__=x ?User=alice /short /${SHORT} /${ID}a /${SHORT}* /${SHORT}%0a /*
      /${ID}?user=alice /${ID}?all=true
    `.map((path) => ['DELETE', path]),
    ...words`?user= ?user=alice&user=alice ?iss=https://id.example.com ?all=true ?limit=5`.map(
      (path) => ['GET', path],
    ),
    ['DELETE', ''],
  ]
  test.for(badRequests)('%s /admin/sessions%s is 400 and ends nothing', async ([method, path]) => {
    const started = start()
    await started.openAll('alice', 'bob')
    expect(await started.answer(method ?? '', `/admin/sessions${path}`)).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_request', message: expect.any(String) as string }),
    ])
    expect((await list(started)).sessions).toHaveLength(2)
  })
})

describe('while the store is away', () => {
  const startFailing = () => {
    let worksFor = Number.POSITIVE_INFINITY
    const failing =
      <Args extends unknown[], T>(act: (...args: Args) => Promise<T>) =>
      async (...args: Args) =>
        worksFor-- > 0 ? act(...args) : outage()
    const started = start({
      sessions: {
        wrap: (store) => ({
          ...store,
          end: failing((...end) => store.end(...end)),
          read: failing((...read) => store.read(...read)),
        }),
      },
    })
    /** The number of accesses to the store after which they fail. */
    const failAfter = (accesses: number) => {
      worksFor = accesses
    }
    return { ...started, failAfter, work: () => failAfter(Number.POSITIVE_INFINITY) }
  }
  const startThree = async (what: string) => {
    const started = startFailing()
    const [first] = await started.openAll('alice', 'alice', 'alice')
    const path = `/admin/sessions${what === 'one' ? `/${first}` : what}`
    return { ...started, path, left: what === 'one' ? 2 : 0 }
  }

  const moments = [
    ...rows`one ?user=alice ?all=true`(0),
    ['one', 1],
    ...rows`?user=alice ?all=true`(3),
  ] as const
  test.for(moments)('%s: 503, and asking again ends the rest (%i)', async ([what, after]) => {
    const started = await startThree(what)
    started.failAfter(after)
    const response = await started.ask('DELETE', started.path)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.json()).toMatchObject({
      error: 'store_unavailable',
      message: 'some sessions may not have ended: repeat the request',
    })
    expect(started.eventCodes()).toEqual(['sessions_not_ended', 'refused'])
    expect(started.lines[0]).toMatchObject({ client: OPERATOR, deferred: true })
    expect(started.sessions.revocations.waiting).toBe(1)
    started.work()
    expect((await started.ask('DELETE', started.path)).status).toBe(200)
    expect((await list(started)).sessions).toHaveLength(started.left)
  })

  test.for(['one', '?user=alice', '?all=true'])(
    'C73: %s: the order waits, and is carried out when the store is back',
    async (what) => {
      const started = await startThree(what)
      started.failAfter(0)
      await started.ask('DELETE', started.path)
      started.work()
      await started.sessions.revocations.flush()
      expect((await list(started)).sessions).toHaveLength(started.left)
    },
  )

  test('the list is 503, not a part of it', async () => {
    const started = await startThree('one')
    started.failAfter(2)
    for (const query of ['', '?user=alice']) {
      const response = await started.ask('GET', `/admin/sessions${query}`)
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
      expect(await response.text()).not.toContain('Alice')
    }
    expect(started.eventCodes()).toEqual(['refused'])
  })
})
