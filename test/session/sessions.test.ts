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
  sessionDigest,
  sessionOf,
  startSessions as start,
} from '../support/started-sessions.ts'

describe('a session', () => {
  test('it is found by its cookie', async () => {
    const { sessions, open } = start()
    const credential = await open()
    expect(await sessions.find(credential, REALM)).toEqual({
      session: {
        identity,
        createdAt: STARTED_AT,
        expiresAt: STARTED_AT + DAY_MS,
        providerSession: newSession.metadata.owners.providerSession,
      },
      confirmedAtMs: expect.any(Number) as number,
      source: 'store',
    })
    expect(await sessions.findTokens(credential, REALM)).toEqual(newSession.tokens)
  })

  test('it holds when its tokens are due, and no field that it lacks', async () => {
    const { sessions, open } = start()
    const { metadata } = sessionOf('u1')
    const tokens = {
      ...newSession.tokens,
      refreshToken: 'the-refresh-token',
      accessTokenExpiresAt: STARTED_AT + 60_000,
    }
    const credential = await open({ metadata, tokens })
    const found = await sessions.find(credential, REALM)
    expect(found?.session).toEqual({
      identity,
      createdAt: STARTED_AT,
      expiresAt: STARTED_AT + DAY_MS,
      renewal: { dueAt: STARTED_AT + 45_000, endsAt: STARTED_AT + 60_000 },
    })
    expect(await sessions.findTokens(credential, REALM)).toEqual(tokens)
  })

  test('each has an id and a secret of its own (A65)', async () => {
    const { open } = start()
    const credentials = await Promise.all(Array.from({ length: 20 }, () => open()))
    const all = credentials.flatMap(({ id, secret }) => [id, secret])
    expect(new Set(all).size).toBe(40)
  })

  test('an unknown cookie finds nothing and is no integrity failure', async () => {
    const { sessions, integrityFailures } = start()
    const stranger = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
    expect(await sessions.find(stranger, REALM)).toBeUndefined()
    expect(await sessions.findTokens(stranger, REALM)).toBeUndefined()
    expect(sessions.recall(stranger, REALM)).toBeUndefined()
    expect(integrityFailures).toEqual([])
  })

  test('the right id with a wrong secret finds nothing and is an integrity failure', async () => {
    const { sessions, open, integrityFailures } = start()
    const credential = await open()
    const forged = { ...credential, secret: 's'.repeat(43) }
    expect(await sessions.find(forged, REALM)).toBeUndefined()
    expect(await sessions.findTokens(forged, REALM)).toBeUndefined()
    expect(integrityFailures).toEqual(
      (['identity', 'tokens'] as const).map((part) =>
        recordKey(KEY_PREFIX, sessionDigest(credential), part),
      ),
    )
    expect(await sessions.find(credential, REALM)).toBeDefined()
  })

  test('in another realm it is no session', async () => {
    const { sessions, open } = start()
    const credential = await open()
    await sessions.find(credential, REALM)
    expect(await sessions.find(credential, 'wiki.example.com')).toBeUndefined()
    expect(sessions.recall(credential, 'wiki.example.com')).toBeUndefined()
    expect(await sessions.findTokens(credential, 'wiki.example.com')).toBeUndefined()
  })

  test('it is a cache hit from its beginning on', async () => {
    const { sessions, open, calls } = start()
    const credential = await open()
    calls.length = 0
    const recalled = sessions.recall(credential, REALM)
    expect(recalled).toMatchObject({ session: { identity }, source: 'memory' })
    expect(sessions.recall({ ...credential, secret: 's'.repeat(43) }, REALM)).toBeUndefined()
    expect(sessions.recall(credential, 'wiki.example.com')).toBeUndefined()
    expect(calls).toEqual([])
    expect((await sessions.find(credential, REALM))?.session).toEqual(recalled?.session)
  })

  test.for([true, false])(
    'what is recalled from its beginning on is what the store has, with access tokens: %s',
    async (withAccessToken, { expect }) => {
      const { sessions, sessionCache, open } = start({ withAccessToken })
      const credential = await open()
      const recalled = sessions.recall(credential, REALM)
      sessionCache.clear()
      const found = await sessions.find(credential, REALM)
      expect(recalled?.session).toEqual(found?.session)
      expect(recalled?.session.accessToken?.value).toBe(
        withAccessToken ? newSession.tokens.accessToken : undefined,
      )
    },
  )

  test('a session that the store refused is not cached', async () => {
    const started = start()
    const { sessionCache, open } = started
    started.break('create', away)
    await expect(open()).rejects.toThrow(STORE_AWAY)
    expect(sessionCache.size).toBe(0)
  })

  test('a new session is not cached where every check asks the store', async () => {
    const { sessionCache, open } = start({ l1: { canRecall: false } })
    await open()
    expect(sessionCache.size).toBe(0)
  })

  test('it is a cache hit at another replica once it was found', async () => {
    const { sessions, sessionCache, open, calls } = start()
    const credential = await open()
    sessionCache.clear()
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    const found = await sessions.find(credential, REALM)
    calls.length = 0
    expect(sessions.recall(credential, REALM)).toEqual({ ...found, source: 'memory' })
    expect(sessions.recall(credential, REALM)?.session).toBe(found?.session)
    expect(sessions.recall({ ...credential, secret: 's'.repeat(43) }, REALM)).toBeUndefined()
    expect(calls).toEqual([])
  })

  test('one lookup is one read, of the identity alone', async () => {
    const { sessions, open, calls } = start()
    const credential = await open()
    calls.length = 0
    await sessions.find(credential, REALM)
    expect(calls).toEqual(['read identity'])
  })
})

describe('access tokens', () => {
  test('they are read together with the identity where checks hand them out', async () => {
    const { sessions, open, calls } = start({ withAccessToken: true })
    const credential = await open()
    calls.length = 0
    const found = await sessions.find(credential, REALM)
    expect(found?.session.accessToken).toEqual({ value: 'the-access-token', expiresAt: 5000 })
    expect(sessions.recall(credential, REALM)?.session.accessToken?.value).toBe('the-access-token')
    expect(calls).toEqual(['read identitytokens'])
  })

  test('an access token without an expiry has none', async () => {
    const { sessions, open } = start({ withAccessToken: true })
    const credential = await open({ tokens: { idToken: 'i', accessToken: 'a' } })
    expect((await sessions.find(credential, REALM))?.session.accessToken).toEqual({ value: 'a' })
  })

  test('a session whose tokens are gone is treated as absent', async () => {
    const { sessions, open } = start({
      withAccessToken: true,
      wrap: (store) => ({
        ...store,
        read: async (digest, parts) => {
          const { identity } = await store.read(digest, parts)
          return { ...(identity && { identity }) }
        },
      }),
    })
    expect(await sessions.find(await open(), REALM)).toBeUndefined()
  })
})

describe('at rest', () => {
  test('the store sees neither the id, nor the secret, nor anything that is in the session', async () => {
    const seen: string[] = []
    const { open } = start({
      wrap: (store) => ({
        ...store,
        create: (digest, records, ttlMs) => {
          const bytes = Buffer.concat([records.identity, records.tokens, records.metadata])
          seen.push(digest, bytes.toString('latin1'), bytes.toString('base64url'))
          return store.create(digest, records, ttlMs)
        },
      }),
    })
    const { id, secret } = await open()
    const words = [id, secret, 'alice', 'Alice', 'id.example', 'the.id.token', 'the-access-token']
    for (const word of words) {
      expect(seen.join(' ').includes(word), word).toBe(false)
    }
  })

  test('the server key alone opens the metadata and nothing else', async () => {
    const { sealed, ring, open } = start()
    const credential = await open()
    const digest = sessionDigest(credential)
    const records = await sealed(credential)
    const openPart = (part: RecordPart, secret?: string) =>
      ring.open(records[part], {
        purpose: 'session',
        name: recordKey(KEY_PREFIX, digest, part),
        realm: part === 'metadata' ? '' : REALM,
        ...(secret !== undefined && { secret }),
      })
    expect(openPart('identity')).toBeUndefined()
    expect(openPart('tokens')).toBeUndefined()
    expect(JSON.parse(String(openPart('metadata')))).toEqual({
      ...newSession.metadata,
      createdAt: STARTED_AT,
    })
    expect(openPart('identity', credential.secret)).toBeDefined()
  })

  test('a record that was moved to another session or part opens nothing (A73)', async () => {
    const { sessions, overwrite, sealed, open } = start()
    const [mine, other] = [await open(), await open()]
    const { identity, tokens, metadata } = await sealed(mine)
    await overwrite(other, { identity, tokens, metadata })
    expect(await sessions.find({ id: other.id, secret: mine.secret }, REALM)).toBeUndefined()
    await overwrite(mine, { identity: tokens, tokens: identity })
    expect(await sessions.find(mine, REALM)).toBeUndefined()
    expect(await sessions.findTokens(mine, REALM)).toBeUndefined()
  })

  test.for([
    ['an empty one', Buffer.alloc(0)],
    ['noise', randomBytes(200)],
    ['text', Buffer.from('{"identity":{}}')],
  ] as const)('a record that is not ours is no session: %s', async ([, noise], { expect }) => {
    const { sessions, overwrite, open, integrityFailures } = start()
    const credential = await open()
    await overwrite(credential, { identity: noise, tokens: noise, metadata: noise })
    expect(await sessions.find(credential, REALM)).toBeUndefined()
    expect(integrityFailures).toHaveLength(1)
  })
})

describe('a record that opens but does not match its schema', () => {
  const good = {
    identity: { ...identity },
    createdAt: STARTED_AT,
    expiresAt: STARTED_AT + DAY_MS,
  }
  const without = (key: keyof Identity) => {
    const { [key]: _, ...rest } = identity
    return { ...good, identity: rest }
  }

  test.for([
    ['as it should be', good, true],
    ['with what a later version adds', { ...good, acr: 'high' }, true],
    ['with a session at the provider', { ...good, providerSession: 'p' }, true],
    ['with tokens to refresh', { ...good, renewal: { dueAt: 1, endsAt: 2 } }, true],
    ['with a number for a session at the provider', { ...good, providerSession: 7 }, false],
    ['with tokens to refresh some time', { ...good, renewal: { dueAt: 1 } }, false],
    ['with tokens to refresh at no time', { ...good, renewal: null }, false],
    ['without an identity', { createdAt: 1, expiresAt: good.expiresAt }, false],
    ['without a subject', without('subject'), false],
    ['without an issuer', without('issuer'), false],
    ['without groups', without('groups'), false],
    ['without claims', without('claims'), false],
    ['with an empty subject', { ...good, identity: { ...identity, subject: '' } }, false],
    ['with a number for a subject', { ...good, identity: { ...identity, subject: 7 } }, false],
    ['without an end', { ...good, expiresAt: undefined }, false],
    ['with text for its end', { ...good, expiresAt: '9999999999999' }, false],
    ['null', null, false],
    ['a list', [], false],
  ] as const)('%s', async ([, value, isSession], { expect }) => {
    const { find, name, integrityFailures } = await startWith(JSON.stringify(value))
    expect((await find()) !== undefined).toBe(isSession)
    expect(integrityFailures).toEqual(isSession ? [] : [name])
  })

  test('no JSON at all', async () => {
    const { find, name, integrityFailures } = await startWith('{"identity')
    expect(await find()).toBeUndefined()
    expect(integrityFailures).toEqual([name])
  })

  /** Starts with a session whose identity record holds this text. */
  async function startWith(text: string) {
    const { sessions, ring, overwrite, open, integrityFailures } = start()
    const credential = await open()
    const name = recordKey(KEY_PREFIX, sessionDigest(credential), 'identity')
    const context = { purpose: 'session', name, realm: REALM, secret: credential.secret }
    await overwrite(credential, { identity: ring.seal(Buffer.from(text), context) })
    return { name, integrityFailures, find: () => sessions.find(credential, REALM) }
  }

  test('tokens that do not open make the session absent where checks hand them out', async () => {
    const { sessions, overwrite, open } = start({ withAccessToken: true })
    const credential = await open()
    expect(await sessions.find(credential, REALM)).toHaveProperty('session.accessToken')
    await overwrite(credential, { tokens: Buffer.from('noise') })
    expect(await sessions.find(credential, REALM)).toBeUndefined()
  })
})

describe('the end of a session', () => {
  test('its absolute end holds, in the store and in memory', async () => {
    const { sessions, open, calls, elapse } = start()
    const credential = await open()
    expect(calls).toEqual([`create ${DAY_MS}`])
    elapse(DAY_MS - 1)
    expect(await sessions.find(credential, REALM)).toBeDefined()
    expect(sessions.recall(credential, REALM)).toBeDefined()
    elapse(1)
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    expect(await sessions.find(credential, REALM)).toBeUndefined()
  })

  test('its absolute end holds although the store keeps it longer', async () => {
    const { sessions, open, store, elapse } = start()
    const credential = await open()
    await store.extend(sessionDigest(credential), 10 * DAY_MS)
    elapse(DAY_MS)
    expect(await sessions.find(credential, REALM)).toBeUndefined()
  })

  test('after its end neither memory nor store has it', async () => {
    const { sessions, open, calls } = start()
    const credential = await open()
    await sessions.find(credential, REALM)
    calls.length = 0
    await sessions.end(sessionDigest(credential))
    expect(calls).toEqual(['read metadata', `end ${DAY_MS}`])
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    expect(await sessions.find(credential, REALM)).toBeUndefined()
    expect(await sessions.findTokens(credential, REALM)).toBeUndefined()
  })

  test('an end touches no other session, and a second end is no failure', async () => {
    const { sessions, open } = start()
    const [one, other] = [await open(), await open()]
    await sessions.end(sessionDigest(one))
    await sessions.end(sessionDigest(one))
    expect(await sessions.find(other, REALM)).toBeDefined()
  })

  test('it is found by its owners until it ends', async () => {
    const { sessions, index, open } = start()
    const credential = await open()
    const digest = sessionDigest(credential)
    expect(await index.list('user', 'user-1')).toEqual([digest])
    expect(await index.list('providerSession', 'sid-1')).toEqual([digest])
    await sessions.end(sessionDigest(credential))
    expect(await index.list('user', 'user-1')).toEqual([])
    expect(await index.list('providerSession', 'sid-1')).toEqual([])
  })

  test('ending together ends the sessions of the same provider session, and no other', async () => {
    const { sessions, open } = start()
    const owners = (providerSession?: string) => ({
      metadata: {
        ...newSession.metadata,
        owners: { user: 'user-1', ...(providerSession !== undefined && { providerSession }) },
      },
    })
    const [here, there] = [await open(), await open({ realm: 'other.example.com' })]
    const [elsewhere, unknown] = [await open(owners('sid-2')), await open(owners())]
    await sessions.endTogether(here)
    expect(await sessions.find(here, REALM)).toBeUndefined()
    expect(await sessions.find(there, 'other.example.com')).toBeUndefined()
    expect(await sessions.find(elsewhere, REALM)).toBeDefined()
    await sessions.endTogether(unknown)
    expect(await sessions.find(unknown, REALM)).toBeUndefined()
    expect(await sessions.find(elsewhere, REALM)).toBeDefined()
  })

  test('ending together ends no session that the index names wrongly', async () => {
    const { sessions, index, open } = start()
    const mine = await open()
    const metadata = {
      ...newSession.metadata,
      owners: { user: 'user-2', providerSession: 'sid-2' },
    }
    const theirs = await open({ metadata })
    await index.add(sessionDigest(theirs), { user: 'user-1', providerSession: 'sid-1' }, DAY_MS)
    await sessions.endTogether(mine)
    expect(await sessions.find(mine, REALM)).toBeUndefined()
    expect(await sessions.find(theirs, REALM)).toBeDefined()
  })

  test('an index that cannot be cleaned does not keep a session alive', async () => {
    const started = start()
    const { sessions, open } = started
    started.break('remove', away)
    const credential = await open()
    await sessions.end(sessionDigest(credential))
    expect(await sessions.find(credential, REALM)).toBeUndefined()
  })

  test('without its index no session is opened', async () => {
    const started = start()
    const { open, calls } = started
    started.break('add', away)
    await expect(open()).rejects.toThrow(STORE_AWAY)
    expect(calls).toEqual([])
  })

  test('a lookup in flight during its end does not cache it', async () => {
    const reached = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const { sessions, open } = start({
      wrap: (store) => ({
        ...store,
        read: async (digest, parts) => {
          const records = await store.read(digest, parts)
          if (!parts.includes('identity')) return records
          reached.resolve()
          await goOn.promise
          return records
        },
      }),
    })
    const credential = await open()
    const finding = sessions.find(credential, REALM)
    await reached.promise
    await sessions.end(sessionDigest(credential))
    goOn.resolve()
    await finding
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    expect(await sessions.find(credential, REALM)).toBeUndefined()
  })

  test('a lookup that begins during its end does not cache it', async () => {
    const reached = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const { sessions, open } = start({
      wrap: (store) => ({
        ...store,
        end: async (digest, tombstoneMs) => {
          reached.resolve()
          await goOn.promise
          await store.end(digest, tombstoneMs)
        },
      }),
    })
    const credential = await open()
    const ending = sessions.end(sessionDigest(credential))
    await reached.promise
    expect(await sessions.find(credential, REALM)).toBeDefined()
    goOn.resolve()
    await ending
    expect(sessions.recall(credential, REALM)).toBeUndefined()
  })
})

describe('idle sessions', () => {
  const IDLE_MS = 2000
  /** For as long the cache goes on with the time that it has read. */
  const CLOCK_KEPT_MS = 10

  test('the record lives for the idle time, and never past the absolute end', async () => {
    const idle = start({ idleTimeoutMs: IDLE_MS })
    await idle.open()
    expect(idle.calls).toEqual([`create ${IDLE_MS}`])
    const long = start({ idleTimeoutMs: 2 * DAY_MS })
    await long.open()
    expect(long.calls).toEqual([`create ${DAY_MS}`])
  })

  test('without a request it ends, with requests it goes on', async () => {
    const { sessions, open, elapse } = start({ idleTimeoutMs: IDLE_MS })
    const [used, unused] = [await open(), await open()]
    elapse(IDLE_MS - 1)
    expect(await sessions.find(used, REALM)).toBeDefined()
    elapse(2)
    expect(await sessions.find(used, REALM)).toBeDefined()
    expect(await sessions.find(unused, REALM)).toBeUndefined()
  })

  test('many requests cost one write, and the next one a while later', async () => {
    using clock = holdMonotonicClock()
    const { sessions, open, calls } = start({ idleTimeoutMs: IDLE_MS })
    const credential = await open()
    calls.length = 0
    await Promise.all(Array.from({ length: 20 }, () => sessions.find(credential, REALM)))
    for (let count = 0; count < 20; count += 1) sessions.recall(credential, REALM)
    const extensions = () => calls.filter((call) => call.startsWith('extend'))
    expect(extensions()).toEqual([`extend ${IDLE_MS}`])
    clock.elapse(IDLE_MS / 10 - 1)
    await pause(CLOCK_KEPT_MS)
    sessions.recall(credential, REALM)
    expect(extensions()).toHaveLength(1)
    clock.elapse(2)
    await pause(CLOCK_KEPT_MS)
    sessions.recall(credential, REALM)
    expect(extensions()).toHaveLength(2)
  })

  test('near its absolute end it is extended up to there and no further', async () => {
    const { sessions, open, calls, elapse } = start({ idleTimeoutMs: IDLE_MS, maxAgeMs: 3000 })
    const credential = await open()
    elapse(1500)
    await sessions.find(credential, REALM)
    expect(calls.at(-1)).toBe('extend 1500')
  })

  test('with no idle time a lookup writes nothing', async () => {
    const { sessions, open, calls } = start()
    const credential = await open()
    calls.length = 0
    await sessions.find(credential, REALM)
    sessions.recall(credential, REALM)
    expect(calls).toEqual(['read identity'])
  })

  test('an extension that fails is reported and refuses nobody', async () => {
    const started = start({ idleTimeoutMs: IDLE_MS })
    const { sessions, open, extendFailures } = started
    started.break('extend', away)
    expect(await sessions.find(await open(), REALM)).toBeDefined()
    expect(extendFailures).toEqual([expect.objectContaining({ code: 'store_unavailable' })])
  })

  test('an answer does not wait for the extension', async () => {
    const never = new Promise<boolean>(() => undefined)
    const { sessions, open } = start({
      idleTimeoutMs: IDLE_MS,
      wrap: (store) => ({ ...store, extend: () => never }),
    })
    expect(await sessions.find(await open(), REALM)).toBeDefined()
  })
})

describe('a store that is away', () => {
  const credential = { id: 'i'.repeat(43), secret: 's'.repeat(43) }

  test('is never "no session", and no sign-in or end is reported as done', async () => {
    const started = start()
    for (const step of ['read', 'create', 'end'] as const) started.break(step, away)
    const { sessions } = started
    await expect(sessions.find(credential, REALM)).rejects.toThrow(STORE_AWAY)
    await expect(sessions.findTokens(credential, REALM)).rejects.toThrow(STORE_AWAY)
    await expect(sessions.open(newSession)).rejects.toThrow(STORE_AWAY)
    await expect(sessions.end(sessionDigest(credential))).rejects.toThrow(STORE_AWAY)
  })

  test('a session whose end failed is not served from memory', async () => {
    const started = start()
    const { sessions, open } = started
    started.break('end', away)
    const mine = await open()
    await sessions.find(mine, REALM)
    await expect(sessions.end(sessionDigest(mine))).rejects.toThrow(STORE_AWAY)
    expect(sessions.recall(mine, REALM)).toBeUndefined()
  })
})
