import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Identity } from '../../src/core/identity.ts'
import { type RecordPart, recordKey } from '../../src/store/store.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import {
  away,
  DAY_MS,
  identity,
  KEY_PREFIX,
  newSession,
  REALM,
  STARTED_AT,
  STORE_AWAY,
  type StartedSessionsOptions,
  sessionDigest,
  sessionOf,
  startSessions as start,
} from '../support/started-sessions.ts'

const ELSEWHERE = 'wiki.example.com'
const STRANGER = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
const LIFE = { createdAt: STARTED_AT, expiresAt: STARTED_AT + DAY_MS }

/** Starts with an open session; the calls begin after it. */
async function startOpen(
  changes: StartedSessionsOptions = {},
  opened: Partial<typeof newSession> = {},
) {
  const started = start(changes)
  const { sessions, calls } = started
  const credential = await started.open(opened)
  calls.length = 0
  return {
    ...started,
    credential,
    digest: sessionDigest(credential),
    forged: { ...credential, secret: STRANGER.secret },
    find: (by = credential, realm = REALM) => sessions.find(by, realm),
    tokens: (by = credential, realm = REALM) => sessions.findTokens(by, realm),
    recall: (by = credential, realm = REALM) => sessions.recall(by, realm),
  }
}

describe('a session', () => {
  test('it is found by its cookie', async () => {
    const { find, tokens } = await startOpen()
    const { providerSession } = newSession.metadata.owners
    expect(await find()).toEqual({
      session: { identity, ...LIFE, providerSession },
      confirmedAtMs: expect.any(Number) as number,
      source: 'store',
    })
    expect(await tokens()).toEqual(newSession.tokens)
  })

  test('it holds when its tokens are due, and no field that it lacks', async () => {
    const { metadata } = sessionOf('u1')
    const endsAt = STARTED_AT + 60_000
    const given = { ...newSession.tokens, refreshToken: 'r', accessTokenExpiresAt: endsAt }
    const { find, tokens } = await startOpen({}, { metadata, tokens: given })
    const renewal = { dueAt: STARTED_AT + 45_000, endsAt }
    expect((await find())?.session).toEqual({ identity, ...LIFE, renewal })
    expect(await tokens()).toEqual(given)
  })

  test('each has an id and a secret of its own (A65)', async () => {
    const { open } = start()
    const credentials = await Promise.all(Array.from({ length: 20 }, () => open()))
    expect(new Set(credentials.flatMap(({ id, secret }) => [id, secret])).size).toBe(40)
  })

  test('an unknown cookie finds nothing and is no integrity failure', async () => {
    const { find, tokens, recall, integrityFailures } = await startOpen()
    const found = [await find(STRANGER), await tokens(STRANGER), recall(STRANGER)]
    expect(found).toEqual([undefined, undefined, undefined])
    expect(integrityFailures).toEqual([])
  })

  test('the right id with a wrong secret finds nothing and is an integrity failure', async () => {
    const { find, tokens, digest, forged, integrityFailures } = await startOpen()
    expect([await find(forged), await tokens(forged)]).toEqual([undefined, undefined])
    const keys = (['identity', 'tokens'] as const).map((part) =>
      recordKey(KEY_PREFIX, digest, part),
    )
    expect(integrityFailures).toEqual(keys)
    expect(await find()).toBeDefined()
  })

  test('in another realm it is no session', async () => {
    const { find, recall, tokens } = await startOpen()
    await find()
    expect(await find(undefined, ELSEWHERE)).toBeUndefined()
    expect(recall(undefined, ELSEWHERE)).toBeUndefined()
    expect(await tokens(undefined, ELSEWHERE)).toBeUndefined()
  })

  test('it is a cache hit from its beginning on', async () => {
    const { find, recall, forged, calls } = await startOpen()
    const recalled = recall()
    expect(recalled).toMatchObject({ session: { identity }, source: 'memory' })
    expect([recall(forged), recall(undefined, ELSEWHERE)]).toEqual([undefined, undefined])
    expect(calls).toEqual([])
    expect((await find())?.session).toEqual(recalled?.session)
  })

  test.for([true, false])(
    'what is recalled from its beginning on is what the store has, with access tokens: %s',
    async (withAccessToken) => {
      const { sessionCache, find, recall } = await startOpen({ withAccessToken })
      const recalled = recall()
      sessionCache.clear()
      expect(recalled?.session).toEqual((await find())?.session)
      const expected = withAccessToken ? newSession.tokens.accessToken : undefined
      expect(recalled?.session.accessToken?.value).toBe(expected)
    },
  )

  test('a session that the store refused is not cached', async () => {
    const started = start()
    started.break('create', away)
    await expect(started.open()).rejects.toThrow(STORE_AWAY)
    expect(started.sessionCache.size).toBe(0)
  })

  test('a new session is not cached where every check asks the store', async () => {
    expect((await startOpen({ l1: { canRecall: false } })).sessionCache.size).toBe(0)
  })

  test('it is a cache hit at another replica once it was found', async () => {
    const { sessionCache, find, recall, forged, calls } = await startOpen()
    sessionCache.clear()
    expect(recall()).toBeUndefined()
    const found = await find()
    calls.length = 0
    expect(recall()).toEqual({ ...found, source: 'memory' })
    expect(recall()?.session).toBe(found?.session)
    expect([recall(forged), calls]).toEqual([undefined, []])
  })

  test('one lookup is one read, of the identity alone', async () => {
    const { find, calls } = await startOpen()
    await find()
    expect(calls).toEqual(['read identity'])
  })
})

describe('access tokens', () => {
  test('they are read together with the identity where checks hand them out', async () => {
    const { find, recall, calls } = await startOpen({ withAccessToken: true })
    const accessToken = { value: 'the-access-token', expiresAt: 5000 }
    expect((await find())?.session.accessToken).toEqual(accessToken)
    expect(recall()?.session.accessToken?.value).toBe('the-access-token')
    expect(calls).toEqual(['read identitytokens'])
  })

  test('an access token without an expiry has none', async () => {
    const tokens = { idToken: 'i', accessToken: 'a' }
    const { find } = await startOpen({ withAccessToken: true }, { tokens })
    expect((await find())?.session.accessToken).toEqual({ value: 'a' })
  })

  test('a session whose tokens are gone is treated as absent', async () => {
    const { find } = await startOpen({
      withAccessToken: true,
      wrap: (store) => ({
        ...store,
        read: async (digest, parts) => {
          const { identity } = await store.read(digest, parts)
          return { ...(identity && { identity }) }
        },
      }),
    })
    expect(await find()).toBeUndefined()
  })

  test('a session whose tokens do not open is treated as absent', async () => {
    const { find, overwrite, credential } = await startOpen({ withAccessToken: true })
    expect(await find()).toHaveProperty('session.accessToken')
    await overwrite(credential, { tokens: Buffer.from('noise') })
    expect(await find()).toBeUndefined()
  })
})

describe('at rest', () => {
  test('the store sees neither the id, nor the secret, nor anything that is in the session', async () => {
    const seen: string[] = []
    const { id, secret } = await start({
      wrap: (store) => ({
        ...store,
        create: (digest, records, ttlMs) => {
          const bytes = Buffer.concat([records.identity, records.tokens, records.metadata])
          seen.push(digest, bytes.toString('latin1'), bytes.toString('base64url'))
          return store.create(digest, records, ttlMs)
        },
      }),
    }).open()
    const words = [id, secret, 'alice', 'Alice', 'id.example', 'the.id.token', 'the-access-token']
    expect(seen).toHaveLength(3)
    expect(words.filter((word) => seen.join(' ').includes(word))).toEqual([])
  })

  test('the server key alone opens the metadata and nothing else', async () => {
    const { sealed, ring, credential, digest } = await startOpen()
    const records = await sealed(credential)
    const openPart = (part: RecordPart, holder?: { secret: string }) => {
      const realm = part === 'metadata' ? '' : REALM
      const name = recordKey(KEY_PREFIX, digest, part)
      return ring.open(records[part], { purpose: 'session', name, realm, ...holder })
    }
    expect([openPart('identity'), openPart('tokens')]).toEqual([undefined, undefined])
    const metadata = { ...newSession.metadata, createdAt: STARTED_AT }
    expect(JSON.parse(String(openPart('metadata')))).toEqual(metadata)
    expect(openPart('identity', credential)).toBeDefined()
  })

  test('a record that was moved to another session or part opens nothing (A73)', async () => {
    const { find, tokens, overwrite, sealed, open, credential: mine } = await startOpen()
    const other = await open()
    const moved = await sealed(mine)
    await overwrite(other, moved)
    expect(await find({ id: other.id, secret: mine.secret })).toBeUndefined()
    await overwrite(mine, { identity: moved.tokens, tokens: moved.identity })
    expect([await find(), await tokens()]).toEqual([undefined, undefined])
  })

  test.for([
    ['an empty one', Buffer.alloc(0)],
    ['noise', randomBytes(200)],
    ['text', Buffer.from('{"identity":{}}')],
  ] as const)('a record that is not ours is no session: %s', async ([, noise]) => {
    const { find, overwrite, credential, integrityFailures } = await startOpen()
    await overwrite(credential, { identity: noise, tokens: noise, metadata: noise })
    expect(await find()).toBeUndefined()
    expect(integrityFailures).toHaveLength(1)
  })
})

describe('a record that opens but does not match its schema', () => {
  const good = { identity: { ...identity }, ...LIFE }
  const without = (key: keyof Identity) => {
    const { [key]: _, ...rest } = identity
    return { ...good, identity: rest }
  }
  const json = JSON.stringify

  test.for<[string, string, boolean]>([
    ['as it should be', json(good), true],
    ['with what a later version adds', json({ ...good, acr: 'high' }), true],
    ['with a session at the provider', json({ ...good, providerSession: 'p' }), true],
    ['with tokens to refresh', json({ ...good, renewal: { dueAt: 1, endsAt: 2 } }), true],
    ['with a number for a session at the provider', json({ ...good, providerSession: 7 }), false],
    ['with tokens to refresh some time', json({ ...good, renewal: { dueAt: 1 } }), false],
    ['with tokens to refresh at no time', json({ ...good, renewal: null }), false],
    ['without an identity', json({ createdAt: 1, expiresAt: good.expiresAt }), false],
    ['without a subject', json(without('subject')), false],
    ['without an issuer', json(without('issuer')), false],
    ['without groups', json(without('groups')), false],
    ['without claims', json(without('claims')), false],
    ['with an empty subject', json({ ...good, identity: { ...identity, subject: '' } }), false],
    [
      'with a number for a subject',
      json({ ...good, identity: { ...identity, subject: 7 } }),
      false,
    ],
    ['without an end', json({ ...good, expiresAt: undefined }), false],
    ['with text for its end', json({ ...good, expiresAt: '9999999999999' }), false],
    ['null', 'null', false],
    ['a list', '[]', false],
    ['no JSON at all', '{"identity', false],
  ])('%s', async ([, text, isSession]) => {
    const { find, ring, overwrite, credential, digest, integrityFailures } = await startOpen()
    const name = recordKey(KEY_PREFIX, digest, 'identity')
    const context = { purpose: 'session', name, realm: REALM, secret: credential.secret }
    await overwrite(credential, { identity: ring.seal(Buffer.from(text), context) })
    expect((await find()) !== undefined).toBe(isSession)
    expect(integrityFailures).toEqual(isSession ? [] : [name])
  })
})

describe('the end of a session', () => {
  test('its absolute end holds, in the store and in memory', async () => {
    const { open, sessions, calls, elapse } = start()
    const credential = await open()
    const [find, recall] = [
      () => sessions.find(credential, REALM),
      () => sessions.recall(credential, REALM),
    ]
    expect(calls).toEqual([`create ${DAY_MS}`])
    elapse(DAY_MS - 1)
    expect(await find()).toBeDefined()
    expect(recall()).toBeDefined()
    elapse(1)
    expect([recall(), await find()]).toEqual([undefined, undefined])
  })

  test('its absolute end holds although the store keeps it longer', async () => {
    const { find, store, digest, elapse } = await startOpen()
    await store.extend(digest, 10 * DAY_MS)
    elapse(DAY_MS)
    expect(await find()).toBeUndefined()
  })

  test('after its end neither memory nor store has it', async () => {
    const { sessions, find, recall, tokens, digest, calls } = await startOpen()
    await find()
    calls.length = 0
    await sessions.end(digest)
    expect(calls).toEqual(['read metadata', `end ${DAY_MS}`])
    expect([recall(), await find(), await tokens()]).toEqual([undefined, undefined, undefined])
  })

  test('an end touches no other session, and a second end is no failure', async () => {
    const { sessions, open, find, digest } = await startOpen()
    const other = await open()
    await sessions.end(digest)
    await sessions.end(digest)
    expect(await find(other)).toBeDefined()
  })

  test('it is found by its owners until it ends', async () => {
    const { sessions, index, digest } = await startOpen()
    const listed = () =>
      Promise.all([index.list('user', 'user-1'), index.list('providerSession', 'sid-1')])
    expect(await listed()).toEqual([[digest], [digest]])
    await sessions.end(digest)
    expect(await listed()).toEqual([[], []])
  })

  test('ending together ends the sessions of the same provider session, and no other', async () => {
    const { sessions, open, find, credential } = await startOpen()
    const owned = (owners: object) => ({
      metadata: { ...newSession.metadata, owners: { user: 'user-1', ...owners } },
    })
    const there = await open({ realm: ELSEWHERE })
    const [other, unknown] = [
      await open(owned({ providerSession: 'sid-2' })),
      await open(owned({})),
    ]
    await sessions.endTogether(credential)
    expect([await find(), await find(there, ELSEWHERE)]).toEqual([undefined, undefined])
    expect(await find(other)).toBeDefined()
    await sessions.endTogether(unknown)
    expect(await find(unknown)).toBeUndefined()
    expect(await find(other)).toBeDefined()
  })

  test('ending together ends no session that the index names wrongly', async () => {
    const { sessions, index, open, find, credential } = await startOpen()
    const owners = { user: 'user-2', providerSession: 'sid-2' }
    const theirs = await open({ metadata: { ...newSession.metadata, owners } })
    await index.add(sessionDigest(theirs), { user: 'user-1', providerSession: 'sid-1' }, DAY_MS)
    await sessions.endTogether(credential)
    expect(await find()).toBeUndefined()
    expect(await find(theirs)).toBeDefined()
  })

  test.for<[string, (started: Awaited<ReturnType<typeof startOpen>>) => Promise<unknown>]>([
    ['by itself', ({ sessions, digest }) => sessions.end(digest)],
    [
      'together with those of no provider session',
      (started) => started.sessions.endTogether(started.credential),
    ],
  ])('one whose metadata do not open ends %s', async ([, end]) => {
    const started = await startOpen()
    const other = await started.open()
    await started.overwrite(started.credential, { metadata: Buffer.from('noise') })
    await end(started)
    expect(await started.find()).toBeUndefined()
    expect(await started.find(other)).toBeDefined()
  })

  test('one whose metadata are gone ends with all of its user, and leaves the index', async () => {
    const { sessions, index, find, digest } = await startOpen({
      wrap: (store) => ({
        ...store,
        read: async (asked, parts) => {
          const { metadata: _, ...rest } = await store.read(asked, parts)
          return rest
        },
      }),
    })
    expect(await index.list('user', 'user-1')).toEqual([digest])
    expect(await sessions.endAllOf({ kind: 'user', id: 'user-1' })).toBe(0)
    expect([await find(), await index.list('user', 'user-1')]).toEqual([undefined, []])
  })

  test('an index that cannot be cleaned does not keep a session alive', async () => {
    const started = await startOpen()
    started.break('remove', away)
    await started.sessions.end(started.digest)
    expect(await started.find()).toBeUndefined()
  })

  test('without its index no session is opened', async () => {
    const started = start()
    started.break('add', away)
    await expect(started.open()).rejects.toThrow(STORE_AWAY)
    expect(started.calls).toEqual([])
  })

  /** Starts with a store that waits in the middle of a command. */
  const startWaiting = async (command: 'read' | 'end') => {
    const reached = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const wait = async () => (reached.resolve(), goOn.promise)
    const started = await startOpen({
      wrap: (store) => ({
        ...store,
        read: async (digest, parts) => {
          const records = await store.read(digest, parts)
          if (command === 'read' && parts.includes('identity')) await wait()
          return records
        },
        end: async (digest, tombstoneMs) => {
          if (command === 'end') await wait()
          await store.end(digest, tombstoneMs)
        },
      }),
    })
    return { ...started, reached: reached.promise, goOn: () => goOn.resolve() }
  }

  test('a lookup in flight during its end does not cache it', async () => {
    const { sessions, find, recall, digest, reached, goOn } = await startWaiting('read')
    const finding = find()
    await reached
    await sessions.end(digest)
    goOn()
    await finding
    expect([recall(), await find()]).toEqual([undefined, undefined])
  })

  test('a lookup that begins during its end does not cache it', async () => {
    const { sessions, find, recall, digest, reached, goOn } = await startWaiting('end')
    const ending = sessions.end(digest)
    await reached
    expect(await find()).toBeDefined()
    goOn()
    await ending
    expect(recall()).toBeUndefined()
  })
})

describe('idle sessions', () => {
  const IDLE_MS = 2000
  /** Time for which the cache uses the clock reading that it has. */
  const CLOCK_KEPT_MS = 10

  test.for([
    ['the idle time', IDLE_MS, IDLE_MS],
    ['the absolute age at most', 2 * DAY_MS, DAY_MS],
  ] as const)('the record lives for %s', async ([, idleTimeoutMs, ttlMs]) => {
    const { open, calls } = start({ idleTimeoutMs })
    await open()
    expect(calls).toEqual([`create ${ttlMs}`])
  })

  test('without a request it ends, with requests it goes on', async () => {
    const { find, open, elapse } = await startOpen({ idleTimeoutMs: IDLE_MS })
    const unused = await open()
    elapse(IDLE_MS - 1)
    expect(await find()).toBeDefined()
    elapse(2)
    expect(await find()).toBeDefined()
    expect(await find(unused)).toBeUndefined()
  })

  test('many requests cost one write, and the next one a while later', async () => {
    using clock = holdMonotonicClock()
    const { find, recall, calls } = await startOpen({ idleTimeoutMs: IDLE_MS })
    await Promise.all(Array.from({ length: 20 }, () => find()))
    for (let count = 0; count < 20; count += 1) recall()
    const extensions = () => calls.filter((call) => call.startsWith('extend'))
    expect(extensions()).toEqual([`extend ${IDLE_MS}`])
    clock.elapse(IDLE_MS / 10 - 1)
    await pause(CLOCK_KEPT_MS)
    recall()
    expect(extensions()).toHaveLength(1)
    clock.elapse(2)
    await pause(CLOCK_KEPT_MS)
    recall()
    expect(extensions()).toHaveLength(2)
  })

  test('near its absolute end it is extended up to there and no further', async () => {
    const { find, calls, elapse } = await startOpen({ idleTimeoutMs: IDLE_MS, maxAgeMs: 3000 })
    elapse(1500)
    await find()
    expect(calls.at(-1)).toBe('extend 1500')
  })

  test('with no idle time a lookup writes nothing', async () => {
    const { find, recall, calls } = await startOpen()
    await find()
    recall()
    expect(calls).toEqual(['read identity'])
  })

  test('an extension that fails is reported and refuses nobody', async () => {
    const started = await startOpen({ idleTimeoutMs: IDLE_MS })
    started.break('extend', away)
    expect(await started.find()).toBeDefined()
    expect(started.extendFailures).toEqual([STORE_AWAY])
  })

  test('an answer does not wait for the extension', async () => {
    const never = new Promise<boolean>(() => undefined)
    const wrap: StartedSessionsOptions['wrap'] = (store) => ({ ...store, extend: () => never })
    expect(await (await startOpen({ idleTimeoutMs: IDLE_MS, wrap })).find()).toBeDefined()
  })
})

describe('a store that is away', () => {
  test.for<[string, (sessions: ReturnType<typeof start>['sessions']) => Promise<unknown>]>([
    ['a session is never absent', (sessions) => sessions.find(STRANGER, REALM)],
    ['tokens are never absent', (sessions) => sessions.findTokens(STRANGER, REALM)],
    ['no sign-in is reported as done', (sessions) => sessions.open(newSession)],
    ['no end is reported as done', (sessions) => sessions.end(sessionDigest(STRANGER))],
  ])('%s', async ([, ask]) => {
    const started = start()
    for (const step of ['read', 'create', 'end'] as const) started.break(step, away)
    await expect(ask(started.sessions)).rejects.toThrow(STORE_AWAY)
  })

  test('a session whose end failed is not served from memory', async () => {
    const started = await startOpen()
    started.break('end', away)
    await started.find()
    await expect(started.sessions.end(started.digest)).rejects.toThrow(STORE_AWAY)
    expect(started.recall()).toBeUndefined()
  })
})
