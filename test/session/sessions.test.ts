import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Identity } from '../../src/core/identity.ts'
import type { SessionCredential, TokenKind } from '../../src/core/session.ts'
import { type RecordPart, recordKey } from '../../src/store/store.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import {
  away,
  DAY_MS,
  identity,
  KEY_PREFIX,
  newSession,
  outage,
  REALM,
  STARTED_AT,
  STORE_AWAY,
  type StartedSessionsOptions,
  sessionDigest,
  sessionOf,
  startSessions as start,
} from '../support/started-sessions.ts'
import { unsignedToken } from '../support/unsigned-token.ts'

const ELSEWHERE = 'wiki.example.com'
const STRANGER = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
const PASSING: StartedSessionsOptions = { passedTokens: new Set(['access-token']) }
const LIFE = { createdAt: STARTED_AT, expiresAt: STARTED_AT + DAY_MS }

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
  test('is found by its cookie', async () => {
    const { find, tokens, credential } = await startOpen()
    const { providerSession } = newSession.metadata.owners
    expect(await find()).toEqual({
      session: { identity, ...LIFE, providerSession },
      digest: sessionDigest(credential),
      confirmedAtMs: expect.any(Number) as number,
      source: 'store',
    })
    expect(await tokens()).toEqual(newSession.tokens)
  })

  test('holds when its tokens are due, and no field that it lacks', async () => {
    const { metadata } = sessionOf('u1')
    const endsAt = STARTED_AT + 60_000
    const given = { ...newSession.tokens, refreshToken: 'r', accessTokenExpiresAt: endsAt }
    const { find, tokens } = await startOpen({}, { metadata, tokens: given })
    const renewal = { dueAt: STARTED_AT + 45_000, endsAt }
    expect((await find())?.session).toEqual({ identity, ...LIFE, renewal })
    expect(await tokens()).toEqual(given)
  })

  test.for<[what: string, passed: TokenKind, lifeMs: number]>([
    ['that apps are given', 'id-token', 20_000],
    ['that they are not given', 'access-token', 60_000],
  ])('is due before the end of an ID token %s', async ([, passed, lifeMs]) => {
    const idToken = unsignedToken({ exp: (STARTED_AT + 20_000) / 1000 })
    const ends = { refreshToken: 'r', accessTokenExpiresAt: STARTED_AT + 60_000 }
    const given = { tokens: { ...newSession.tokens, ...ends, idToken } }
    const { find } = await startOpen({ passedTokens: new Set([passed]) }, given)
    const renewal = { dueAt: STARTED_AT + (lifeMs * 3) / 4, endsAt: STARTED_AT + lifeMs }
    expect((await find())?.session).toMatchObject({ renewal })
  })

  type Opened = Awaited<ReturnType<typeof startOpen>>
  test.for<[string, (opened: Opened) => SessionCredential, string, readonly RecordPart[]]>([
    ['an unknown cookie', () => STRANGER, REALM, []],
    ['the right id with a wrong secret', ({ forged }) => forged, REALM, ['identity', 'tokens']],
    ['another realm', ({ credential }) => credential, ELSEWHERE, ['identity', 'tokens']],
  ])('%s finds nothing, which is an integrity failure of what was read', async (row) => {
    const [, held, realm, unopened] = row
    const opened = await startOpen()
    const { find, tokens, recall, digest, integrityFailures } = opened
    const by = held(opened)
    const found = [await find(by, realm), await tokens(by, realm), recall(by, realm)]
    expect(found).toEqual([undefined, undefined, undefined])
    expect(integrityFailures).toEqual(unopened.map((part) => recordKey(KEY_PREFIX, digest, part)))
    expect(await find()).toBeDefined()
  })

  test('is a cache hit from its beginning on', async () => {
    const { find, recall, forged, calls } = await startOpen()
    const recalled = recall()
    expect(recalled).toMatchObject({ session: { identity }, source: 'memory' })
    expect([recall(forged), recall(undefined, ELSEWHERE)]).toEqual([undefined, undefined])
    expect(calls).toEqual([])
    expect((await find())?.session).toEqual(recalled?.session)
  })

  test.for([true, false])('is cached as stored, with tokens: %s', async (isPassing) => {
    const { sessionCache, find, recall } = await startOpen(isPassing ? PASSING : {})
    const { session } = recall() ?? {}
    sessionCache.clear()
    expect(session).toEqual((await find())?.session)
    const expected = isPassing ? newSession.tokens.accessToken : undefined
    expect(session?.accessToken?.value).toBe(expected)
  })

  test('a new session is not cached where every check asks the store', async () => {
    expect((await startOpen({ l1: { canRecall: false } })).sessionCache.size).toBe(0)
  })
})

describe('access tokens', () => {
  test('are read together with the identity where checks hand them out', async () => {
    const { find, recall, calls } = await startOpen(PASSING)
    const accessToken = { value: 'the-access-token', expiresAt: 5000 }
    expect((await find())?.session.accessToken).toEqual(accessToken)
    expect(recall()?.session.accessToken?.value).toBe('the-access-token')
    expect(calls).toEqual(['read identitytokens'])
  })

  test('an access token without an expiry has none', async () => {
    const tokens = { idToken: 'i', accessToken: 'a' }
    const { find } = await startOpen(PASSING, { tokens })
    expect((await find())?.session.accessToken).toEqual({ value: 'a' })
  })

  test('a session whose tokens are gone or do not open is treated as absent', async () => {
    const { find, lose, overwrite, open, credential } = await startOpen(PASSING)
    const other = await open()
    lose(other, 'tokens')
    expect([await find(), await find(other)]).toEqual([expect.anything(), undefined])
    await overwrite(credential, { tokens: Buffer.from('noise') })
    expect(await find()).toBeUndefined()
  })
})

describe('at rest', () => {
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
    ['with a number as subject', json({ ...good, identity: { ...identity, subject: 7 } }), false],
    ['without an end', json({ ...good, expiresAt: undefined }), false],
    ['with text for its end', json({ ...good, expiresAt: '9999999999999' }), false],
    ['null', 'null', false],
    ['a list', '[]', false],
    ['no JSON at all', '{"identity', false],
  ])('a record %s is a session or none', async ([, text, isSession]) => {
    const { find, ring, overwrite, credential, digest, integrityFailures } = await startOpen()
    const name = recordKey(KEY_PREFIX, digest, 'identity')
    const context = { purpose: 'session', name, realm: REALM, secret: credential.secret }
    await overwrite(credential, { identity: ring.seal(Buffer.from(text), context) })
    expect((await find()) !== undefined).toBe(isSession)
    expect(integrityFailures).toEqual(isSession ? [] : [name])
  })
})

describe('the end of a session', () => {
  test('its absolute end holds, in memory and in a store that keeps it longer', async () => {
    const started = start()
    const credential = await started.open()
    const found = async () => [
      started.sessions.recall(credential, REALM) !== undefined,
      (await started.sessions.find(credential, REALM)) !== undefined,
    ]
    expect(started.calls).toEqual([`create ${DAY_MS}`])
    started.elapse(DAY_MS - 1)
    expect(await found()).toEqual([true, true])
    await started.store.extend(sessionDigest(credential), 10 * DAY_MS)
    started.elapse(1)
    expect(await found()).toEqual([false, false])
  })

  test('after its end neither memory nor store has it, another is there, and a second end is no failure', async () => {
    const { sessions, open, find, recall, tokens, digest, calls } = await startOpen()
    const other = await open()
    await find()
    calls.length = 0
    await sessions.end(digest, 'operator')
    expect(calls).toEqual(['read metadata', `end ${DAY_MS}`])
    expect([recall(), await find(), await tokens()]).toEqual([undefined, undefined, undefined])
    await sessions.end(digest, 'operator')
    expect(await find(other)).toBeDefined()
  })

  test('is found by its owners until it ends', async () => {
    const { sessions, index, digest } = await startOpen()
    const listed = () =>
      Promise.all([index.list('user', 'user-1'), index.list('providerSession', 'sid-1')])
    expect(await listed()).toEqual([[digest], [digest]])
    await sessions.end(digest, 'operator')
    expect(await listed()).toEqual([[], []])
  })

  test('ending together ends the sessions of the same provider session, and no other', async () => {
    const { sessions, open, find, credential } = await startOpen()
    const owned = (owners: object) => ({
      metadata: { ...newSession.metadata, owners: { user: 'user-1', ...owners } },
    })
    const there = await open({ realm: ELSEWHERE })
    const other = await open(owned({ providerSession: 'sid-2' }))
    const unknown = await open(owned({}))
    await sessions.endTogether(credential)
    expect([await find(), await find(there, ELSEWHERE)]).toEqual([undefined, undefined])
    expect(await find(other)).toBeDefined()
    await sessions.endTogether(unknown)
    expect(await find(unknown)).toBeUndefined()
    expect(await find(other)).toBeDefined()
  })

  test('ending together at once ends a session whose metadata are gone', async () => {
    const { sessions, open, find, lose, credential } = await startOpen()
    const other = await open()
    lose(other, 'metadata')
    await sessions.endTogether(credential)
    expect([await find(), await find(other)]).toEqual([undefined, undefined])
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

  test.for(['end', 'endTogether'] as const)('%s ends damaged metadata, too', async (how) => {
    const { sessions, open, find, overwrite, credential, digest } = await startOpen()
    const other = await open()
    await overwrite(credential, { metadata: Buffer.from('noise') })
    await (how === 'end' ? sessions.end(digest, 'operator') : sessions.endTogether(credential))
    expect([await find(), await find(other)]).toEqual([undefined, expect.anything()])
  })

  test('one whose metadata are gone ends with all of its user, and leaves the index', async () => {
    const { sessions, index, find, lose, credential, digest } = await startOpen()
    lose(credential, 'metadata')
    expect(await index.list('user', 'user-1')).toEqual([digest])
    expect(await sessions.endAllOf({ kind: 'user', id: 'user-1' }, { reason: 'operator' })).toBe(0)
    expect([await find(), await index.list('user', 'user-1')]).toEqual([undefined, []])
  })

  test('an index that cannot be cleaned does not keep a session alive', async () => {
    const started = await startOpen()
    started.break('remove', away)
    await started.sessions.end(started.digest, 'operator')
    expect(await started.find()).toBeUndefined()
  })

  test('without its index no session is opened', async () => {
    const started = start()
    started.break('add', away)
    await expect(started.open()).rejects.toThrow(STORE_AWAY)
    expect(started.calls).toEqual([])
  })

  test('a lookup that begins during its end does not cache it', async () => {
    const { sessions, find, recall, digest, hold } = await startOpen()
    const { reached, goOn } = hold('end', 'before')
    const ending = sessions.end(digest, 'operator')
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

  test('a look that is no use extends nothing, and the next use does', async () => {
    const { sessions, find, credential, calls } = await startOpen({ idleTimeoutMs: IDLE_MS })
    expect(await sessions.find(credential, REALM, { isUse: false })).toBeDefined()
    expect(sessions.recall(credential, REALM, false)).toBeDefined()
    expect(calls).not.toContain(`extend ${IDLE_MS}`)
    await find()
    expect(calls).toContain(`extend ${IDLE_MS}`)
    expect(await sessions.readLives([sessionDigest(credential)])).toEqual([
      { kind: 'alive', leftMs: IDLE_MS },
    ])
  })

  test('near its absolute end it is extended up to there and no further', async () => {
    const { find, calls, elapse } = await startOpen({ idleTimeoutMs: IDLE_MS, maxAgeMs: 3000 })
    elapse(1500)
    await find()
    expect(calls.at(-1)).toBe('extend 1500')
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
  ])('while the store is away %s', async ([, ask]) => {
    const started = start()
    for (const step of ['read', 'create'] as const) started.break(step, away)
    await expect(ask(started.sessions)).rejects.toThrow(STORE_AWAY)
    expect(started.sessionCache.size).toBe(0)
  })
})

test.for([
  ['a full store refused leaves no trace in the index', away, 0],
  ['an outage may have written stays in the index', outage, 1],
] as const)('a sign-in that %s', async ([, fail, entries]) => {
  const { open, index, ...started } = start()
  started.break('create', fail)
  await expect(open()).rejects.toThrow(STORE_AWAY)
  expect(await index.list('user', 'user-1')).toHaveLength(entries)
})
