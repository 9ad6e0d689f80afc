import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { IDENTITY_HEADERS } from '../../../src/core/identity.ts'
import type { SessionCredential } from '../../../src/core/session.ts'
import type { RefreshOutcome, RefreshTokens } from '../../../src/oidc/refresh.ts'
import type { RevocableTokens } from '../../../src/oidc/sign-in.ts'
import { userOwner } from '../../../src/session/owners.ts'
import type { Tokens } from '../../../src/session/records.ts'
import { SILENT_MS } from '../../../src/session/refresh/locks.ts'
import {
  createSessionRefresher,
  type SessionRefresherOptions,
} from '../../../src/session/refresh/refresher.ts'
import { createRenewedRecords } from '../../../src/session/refresh/renewed-records.ts'
import type { RefreshResult } from '../../../src/session/refresh/result.ts'
import type { PresentedSession } from '../../../src/session/session-cache.ts'
import type { Locks } from '../../../src/store/locks.ts'
import { createMemoryGenerations } from '../../../src/store/memory/generations.ts'
import { createMemoryLocks } from '../../../src/store/memory/locks.ts'
import { SETTLE_MS, SETTLED, type Settling } from '../../../src/store/settling.ts'
import type { Replacement, Store } from '../../../src/store/store.ts'
import { holdMonotonicClock, type MonotonicClock } from '../../support/monotonic-clock.ts'
import {
  away,
  DAY_MS,
  identity,
  newSession,
  outage,
  present,
  REALM,
  STARTED_AT,
  sessionDigest,
  startSessions,
} from '../../support/started-sessions.ts'

const LIFE_MS = 60_000
const DUE_MS = 45_000
const USER = userOwner(identity.issuer, identity.subject).id
const PROVIDER_SESSION = newSession.metadata.owners.providerSession

const tokens: Tokens = {
  idToken: 'id-1',
  accessToken: 'access-1',
  refreshToken: 'refresh-1',
  accessTokenExpiresAt: STARTED_AT + LIFE_MS,
  generation: 0,
}
const claims = { iss: identity.issuer, sub: identity.subject, name: 'Alice', groups: ['staff'] }
const issued = {
  idToken: 'id-2',
  accessToken: 'access-2',
  refreshToken: 'refresh-2',
  accessTokenExpiresInSeconds: 60,
}
const refreshed: RefreshOutcome = { kind: 'refreshed', issued, claims }
const REFRESHED = { result: 'refreshed' }
const failed: RefreshOutcome = { kind: 'failed', reason: 'provider_unavailable' }

let clock: MonotonicClock
beforeEach(() => {
  clock = holdMonotonicClock()
})
afterEach(() => {
  clock[Symbol.dispose]()
  vi.useRealTimers()
})

interface StartOptions {
  readonly wrap?: (store: Store) => Store
  readonly refresher?: Partial<SessionRefresherOptions>
}

/** Replicas over one memory store, and a provider that answers as told. */
function start(answer: RefreshTokens, { wrap, refresher = {} }: StartOptions = {}) {
  const generations = createMemoryGenerations()
  const locks = createMemoryLocks()
  const started = startSessions({ generations, ...(wrap && { wrap }) })
  const asked: string[] = []
  const results: { result: RefreshResult; reason?: string }[] = []
  const revoked: RevocableTokens[] = []
  const faults: unknown[] = []
  const store = wrap ? wrap(started.store) : started.store
  const options: SessionRefresherOptions = {
    store,
    sessionIndex: started.index,
    settling: SETTLED,
    renewedRecords: createRenewedRecords(store),
    locks,
    generations,
    codec: started.codec,
    sessionCache: started.sessionCache,
    identity: { groupsClaim: 'groups', trustEmail: false, headers: IDENTITY_HEADERS },
    refreshTokens: async (refreshable) => {
      asked.push(refreshable.refreshToken)
      return answer(refreshable)
    },
    endSession: (digest) => started.sessions.end(digest),
    revokeTokens: async (taken) => void revoked.push(taken),
    canStore: () => true,
    now: () => STARTED_AT + elapsedMs,
    onResult: (result, { reason }) =>
      results.push({ result, ...(reason !== undefined && { reason }) }),
    onFault: (cause) => faults.push(cause),
    ...refresher,
  }
  let elapsedMs = 0
  const elapse = (ms: number): void => {
    elapsedMs += ms
    started.elapse(ms)
    clock.elapse(ms)
  }
  const open = async (kept: Tokens = tokens): Promise<PresentedSession> => {
    return present(await started.open({ tokens: kept }))
  }
  return {
    ...started,
    generations,
    locks,
    asked,
    results,
    revoked,
    faults,
    elapse,
    open,
    openDue: async (kept?: Tokens) => {
      const held = await open(kept)
      elapse(DUE_MS)
      return held
    },
    expectFree: async ({ digest }: PresentedSession, owner = 'somebody') =>
      expect(await options.locks.acquire(digest, owner, 'taken', 1000)).toEqual({ isOurs: true }),
    replica: (changes: Partial<SessionRefresherOptions> = {}) =>
      createSessionRefresher({ ...options, ...changes }),
    found: async ({ credential }: PresentedSession) =>
      (await started.sessions.find(credential, REALM))?.session,
    tokensOf: ({ credential }: PresentedSession) => started.sessions.findTokens(credential, REALM),
    /** As another replica would have stored what it was given. */
    refreshElsewhere: async ({ digest, credential }: PresentedSession) => {
      const holder = { secret: credential.secret, realm: REALM }
      const sealed = await started.store.read(digest, ['identity', 'tokens'])
      const others = started.codec.seal(
        digest,
        'tokens',
        { ...tokens, accessToken: 'elsewhere' },
        holder,
      )
      return started.store.replace(
        digest,
        { identity: sealed.identity as Buffer, tokens: others },
        sealed.tokens as Buffer,
      )
    },
  }
}

/** Starts with a session that is due, and refreshes it at one replica. */
async function refreshDue(answer: RefreshTokens, options: StartOptions = {}) {
  const started = start(answer, options)
  const held = await started.openDue()
  const replica = started.replica()
  await replica.refresh(held)
  return { started, held, replica }
}

/** Resolves when the provider has been asked so often. */
async function untilAsked({ asked }: Started, times: number): Promise<void> {
  await vi.waitFor(() => expect(asked).toHaveLength(times))
}

type Started = ReturnType<typeof start>

/** A provider that takes as long as it is told to. */
function holdAnswers() {
  const answers: ((outcome: RefreshOutcome) => void)[] = []
  const answer: RefreshTokens = () => new Promise((resolve) => answers.push(resolve))
  return { answers, answer }
}

describe('a session that is due', () => {
  test('its identity and tokens are replaced', async () => {
    const seen: unknown[] = []
    const started = start(async (refreshable) => {
      seen.push(refreshable)
      return refreshed
    })
    const held = await started.openDue()
    const before = await started.found(held)
    await started.replica().refresh(held)
    const { issuer, subject } = identity
    expect(seen).toEqual([{ refreshToken: 'refresh-1', idToken: 'id-1', issuer, subject }])
    expect(await started.found(held)).toEqual({
      ...before,
      identity: { issuer, subject, name: 'Alice', groups: ['staff'], claims: {} },
      renewal: {
        dueAt: STARTED_AT + DUE_MS + DUE_MS,
        endsAt: STARTED_AT + DUE_MS + LIFE_MS,
      },
    })
    expect(await started.tokensOf(held)).toEqual({
      idToken: 'id-2',
      accessToken: 'access-2',
      refreshToken: 'refresh-2',
      accessTokenExpiresAt: STARTED_AT + DUE_MS + LIFE_MS,
      generation: 0,
    })
    expect(started.results).toEqual([REFRESHED])
  })

  test('it is indexed again by user and provider session where the index had lost it', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    const listed = async () => [
      await started.index.list('user', USER),
      await started.index.list('providerSession', PROVIDER_SESSION as string),
    ]
    await started.index.remove(held.digest, newSession.metadata.owners)
    expect(await listed()).toEqual([[], []])
    await started.replica().refresh(held)
    expect(await listed()).toEqual([[held.digest], [held.digest]])
    started.elapse(DAY_MS - DUE_MS)
    expect(await listed()).toEqual([[], []])
  })

  test('a refresh does not extend its life', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    await started.replica().refresh(held)
    started.elapse(DAY_MS - DUE_MS - 1)
    expect(await started.store.read(held.digest, ['identity'])).toHaveProperty('identity')
    started.elapse(1)
    expect(await started.store.read(held.digest, ['identity'])).toEqual({})
  })

  test('it keeps the tokens and identity that the answer leaves out', async () => {
    const { started, held } = await refreshDue(async () => ({
      kind: 'refreshed',
      issued: { accessToken: 'access-2', accessTokenExpiresInSeconds: 60 },
    }))
    const accessTokenExpiresAt = STARTED_AT + DUE_MS + LIFE_MS
    expect(await started.tokensOf(held)).toEqual({
      ...tokens,
      accessToken: 'access-2',
      accessTokenExpiresAt,
    })
    expect(await started.found(held)).toMatchObject({ identity })
  })

  test('it is not refreshed again when the new token has no expiry', async () => {
    const { started, held } = await refreshDue(async () => ({
      kind: 'refreshed',
      issued: { accessToken: 'access-2' },
      claims,
    }))
    const session = await started.found(held)
    expect(session?.identity.groups).toEqual(['staff'])
    expect(session).not.toHaveProperty('renewal')
    expect(await started.tokensOf(held)).not.toHaveProperty('accessTokenExpiresAt')
  })

  test('its cached copy is not served any more', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    expect(started.sessions.recall(held.credential, REALM)).toBeDefined()
    await started.replica().refresh(held)
    expect(started.sessions.recall(held.credential, REALM)).toBeUndefined()
  })
})

describe('no token request is made', () => {
  const expectNothing = async (
    started: Started,
    held: PresentedSession,
    of: PresentedSession = held,
  ): Promise<void> => {
    const before = await started.store.read(of.digest, ['identity', 'tokens', 'metadata'])
    await started.replica().refresh(held)
    expect(started.asked).toEqual([])
    expect(started.results).toEqual([])
    expect(await started.store.read(of.digest, ['identity', 'tokens', 'metadata'])).toEqual(before)
    // Nobody is kept from refreshing it.
    await started.expectFree(held)
  }

  test('a millisecond before the session is due', async () => {
    const started = start(async () => refreshed)
    const held = await started.open()
    started.elapse(DUE_MS - 1)
    await expectNothing(started, held)
  })

  test.for<[string, Tokens]>([
    ['without a refresh token', { idToken: 'id-1', accessToken: 'a', accessTokenExpiresAt: 0 }],
    [
      'whose token has no expiry',
      { idToken: 'id-1', accessToken: 'access-1', refreshToken: 'refresh-1' },
    ],
  ])('for a session %s', async ([, kept]) => {
    const started = start(async () => refreshed)
    await expectNothing(started, await started.openDue(kept))
  })

  const stranger = (): SessionCredential => ({
    id: randomBytes(32).toString('base64url'),
    secret: randomBytes(32).toString('base64url'),
  })
  test.for<[string, (held: PresentedSession) => PresentedSession]>([
    ['another secret', (held) => ({ ...held, credential: { ...held.credential, secret: 'x' } })],
    ['another realm', (held) => ({ ...held, realm: 'other.example.com' })],
    [
      'an id of no session',
      (held) => ({ ...held, credential: stranger(), digest: sessionDigest(stranger()) }),
    ],
  ])('for a cookie with %s', async ([, change]) => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    await expectNothing(started, change(held), held)
  })

  test('for a session that has ended', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    await started.sessions.end(held.digest)
    await expectNothing(started, held)
  })

  test('for a session whose identity record is damaged', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    const sealed = await started.store.read(held.digest, ['tokens'])
    const identity = Buffer.from('nonsense')
    const again = started.codec.seal(held.digest, 'tokens', tokens, {
      secret: held.credential.secret,
      realm: REALM,
    })
    await started.store.replace(held.digest, { identity, tokens: again }, sealed.tokens as Buffer)
    await expectNothing(started, held)
    expect(started.integrityFailures).toHaveLength(1)
  })
})

describe('single flight', () => {
  test('concurrent callers at a replica share one token request and all wait for it', async () => {
    const { answers, answer } = holdAnswers()
    const started = start(answer)
    const held = await started.openDue()
    const replica = started.replica()
    let done = 0
    const all = Array.from({ length: 50 }, async () => {
      await replica.refresh(held)
      done += 1
    })
    await untilAsked(started, 1)
    await turn()
    expect(done).toBe(0)
    answers[0]?.(refreshed)
    await Promise.all(all)
    await Promise.all(Array.from({ length: 50 }, () => replica.refresh(held)))
    expect(started.asked).toEqual(['refresh-1'])
    expect(started.results).toEqual([REFRESHED])
  })

  test('concurrent replicas make one token request; the others try again after a second', async () => {
    const { answers, answer } = holdAnswers()
    const started = start(answer)
    const held = await started.openDue()
    const [one, two, three] = [started.replica(), started.replica(), started.replica()]
    const first = one.refresh(held)
    await untilAsked(started, 1)
    await Promise.all([two.refresh(held), three.refresh(held)])
    expect(two.isPaused(held.digest)).toBe(false)
    answers[0]?.(refreshed)
    await first
    started.elapse(LIFE_MS)
    answers.length = 0
    const again = two.refresh(held)
    await untilAsked(started, 2)
    answers[0]?.(refreshed)
    await again
    expect(started.asked).toEqual(['refresh-1', 'refresh-2'])
  })

  test('a replica that comes late makes no token request', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    await started.replica().refresh(held)
    await started.replica().refresh(held)
    expect(started.asked).toEqual(['refresh-1'])
  })

  test('the lock lasts as long as the token request', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { answers, answer } = holdAnswers()
    const started = start(answer)
    const held = await started.openDue()
    const first = started.replica().refresh(held)
    const other = started.replica()
    for (let seconds = 0; seconds < 30; seconds += 3) {
      await turn()
      started.elapse(3000)
      await vi.advanceTimersByTimeAsync(3000)
      await other.refresh(held)
    }
    expect(started.asked).toEqual(['refresh-1'])
    answers[0]?.(refreshed)
    await first
    expect(vi.getTimerCount()).toBe(0)
    expect(started.results).toEqual([REFRESHED])
    await started.expectFree(held)
  })

  test('a lock that cannot be extended ends no refresh and is released when the store is back', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { answers, answer } = holdAnswers()
    const memory = createMemoryLocks()
    let isAway = false
    let tries = 0
    const locks: Locks = {
      ...memory,
      hold: async (...given) => (isAway ? outage() : memory.hold(...given)),
      release: async (...given) => (++tries < 2 ? outage() : memory.release(...given)),
    }
    const started = start(answer, { refresher: { locks } })
    const held = await started.openDue()
    const running = started.replica().refresh(held)
    await untilAsked(started, 1)
    isAway = true
    await vi.advanceTimersByTimeAsync(3000)
    answers[0]?.(refreshed)
    await running
    expect(started.results).toEqual([REFRESHED])
    expect(tries).toBe(2)
    await started.expectFree(held)
  })
})

describe('the end of the session', () => {
  test.for<[RefreshResult, RefreshOutcome, { reason?: string }]>([
    ['refused', { kind: 'refused' }, {}],
    ['rejected', { kind: 'rejected', reason: 'sign_in_failed' }, { reason: 'sign_in_failed' }],
  ])('it ends when the answer of the provider is %s', async ([result, outcome, about]) => {
    const started = start(async () => outcome)
    const held = await started.openDue()
    const replica = started.replica()
    await replica.refresh(held)
    expect(started.results).toEqual([{ result, ...about }])
    expect(await started.found(held)).toBeUndefined()
    expect(started.sessions.recall(held.credential, REALM)).toBeUndefined()
    expect(started.calls).toContain(`end ${DAY_MS}`)
    expect(replica.isPaused(held.digest)).toBe(false)
    expect(started.revoked).toEqual([])
  })

  test.for([
    ['the user’s', USER],
    ['those of the same session at the provider', PROVIDER_SESSION],
    ['everybody’s', undefined],
  ] as const)(
    'it ends without a token request where all sessions, %s, have ended since its sign-in began',
    async ([, owner]) => {
      const started = start(async () => refreshed)
      const held = await started.openDue()
      await started.generations.advance(owner, DAY_MS)
      await started.replica().refresh(held)
      expect(started.results).toEqual([{ result: 'revoked' }])
      expect(started.asked).toEqual([])
      expect(await started.found(held)).toBeUndefined()
    },
  )

  test('a session without a generation ends in the same way', async () => {
    const { generation: _, ...older } = tokens
    const started = start(async () => refreshed)
    const held = await started.openDue(older)
    const replica = started.replica()
    await replica.refresh(held)
    await started.generations.advance(USER, DAY_MS)
    started.elapse(LIFE_MS)
    await replica.refresh(held)
    expect(started.results).toEqual([{ result: 'refreshed' }, { result: 'revoked' }])
    expect(await started.found(held)).toBeUndefined()
  })

  test('it does not end with the sessions of another user', async () => {
    const started = start(async () => refreshed)
    const held = await started.openDue()
    await started.generations.advance(userOwner(identity.issuer, 'u2').id, DAY_MS)
    await started.replica().refresh(held)
    expect(started.results).toEqual([REFRESHED])
  })

  test('a refusal does not end it when another replica has stored new tokens', async () => {
    const started: Started = start(async () => {
      await started.refreshElsewhere(held)
      return { kind: 'refused' }
    })
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([])
    expect(await started.tokensOf(held)).toMatchObject({ accessToken: 'elsewhere' })
  })

  test('a refusal does not end it when another replica holds the lock and may store new tokens', async () => {
    const started: Started = start(async () => {
      const found = await started.locks.acquire(held.digest, 'somebody', 'taken', 10_000)
      if (found.isOurs) throw new Error('nobody has the lock')
      await started.locks.takeOver(held.digest, 'somebody', 'taken', 10_000, found.mark)
      return { kind: 'refused' }
    })
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([])
    expect(await started.found(held)).toMatchObject({ identity })
    const found = await started.locks.acquire(held.digest, 'yet another', 'taken', 1000)
    expect(found).toEqual({ isOurs: false, mark: 'somebody taken' })
  })

  test('it ends later when the store is away', async () => {
    let isAway = true
    const started: Started = start(async () => ({ kind: 'refused' }), {
      refresher: {
        endSession: async (digest) => (isAway ? outage() : started.sessions.end(digest)),
      },
    })
    const held = await started.openDue()
    const replica = started.replica()
    await replica.refresh(held)
    expect(started.results).toEqual([])
    isAway = false
    started.elapse(1000)
    await replica.refresh(held)
    expect(started.results).toEqual([{ result: 'refused' }])
    expect(await started.found(held)).toBeUndefined()
  })
})

describe('tokens that come too late', () => {
  test('they are dropped where another replica has stored newer ones', async () => {
    const started: Started = start(async () => {
      await started.refreshElsewhere(held)
      return refreshed
    })
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([{ result: 'late' }])
    expect(await started.tokensOf(held)).toMatchObject({ accessToken: 'elsewhere' })
    // They may be of the same grant.
    expect(started.revoked).toEqual([])
  })

  test('they are revoked where the session has ended meanwhile', async () => {
    const started: Started = start(async () => {
      await started.sessions.end(held.digest)
      return { kind: 'refreshed', issued, claims }
    })
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([{ result: 'gone' }])
    expect(started.revoked).toEqual([issued])
    expect(await started.found(held)).toBeUndefined()
  })

  test('a failed revocation does no harm', async () => {
    const started: Started = start(
      async () => {
        await started.sessions.end(held.digest)
        return refreshed
      },
      { refresher: { revokeTokens: async () => away() } },
    )
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([{ result: 'gone' }])
    expect(await started.found(held)).toBeUndefined()
  })
})

describe('tokens that cannot be stored', () => {
  const startFailing = (
    fail: (attempt: number, write: () => Promise<Replacement>) => Promise<Replacement>,
  ) => {
    let attempts = 0
    return start(async () => refreshed, {
      wrap: (store) => ({
        ...store,
        replace: (...written) => fail(++attempts, () => store.replace(...written)),
      }),
    })
  }

  test('they are stored when the store is back', async () => {
    const started = startFailing(async (attempt, write) => (attempt < 2 ? outage() : write()))
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([REFRESHED])
    expect(await started.tokensOf(held)).toMatchObject({ refreshToken: 'refresh-2' })
  })

  test('they are stored however long the outage was', async () => {
    const started = startFailing(async (attempt, write) => {
      started.elapse(10 * 60_000)
      return attempt < 3 ? outage() : write()
    })
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([REFRESHED])
    expect(await started.tokensOf(held)).toMatchObject({ refreshToken: 'refresh-2' })
  })

  test('they are reported lost when the process ends first', async () => {
    const waiting = Promise.withResolvers<void>()
    const started = startFailing(async () => {
      waiting.resolve()
      return outage()
    })
    const held = await started.openDue()
    const replica = started.replica()
    const running = replica.refresh(held)
    await waiting.promise
    await replica.finish(1)
    await running
    expect(started.results).toEqual([{ result: 'lost' }])
    expect(await started.tokensOf(held)).toEqual(tokens)
  })

  test('they are lost at once where the store refuses them', async () => {
    let attempts = 0
    const started = startFailing(async (attempt) => {
      attempts = attempt
      return away()
    })
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect(started.results).toEqual([{ result: 'lost' }])
    expect(attempts).toBe(1)
  })
})

describe('the next try waits', () => {
  test('in a back-off that doubles up to a minute', async () => {
    const started = start(async () => failed)
    const held = await started.openDue()
    const before = await started.store.read(held.digest, ['identity', 'tokens'])
    const replica = started.replica()
    for (let failures = 1; failures <= 9; failures += 1) {
      await replica.refresh(held)
      expect(started.asked).toHaveLength(failures)
      const backOffMs = Math.min(60_000, 1000 * 2 ** (failures - 1))
      started.elapse(backOffMs / 2 - 1)
      await replica.refresh(held)
      expect(replica.isPaused(held.digest)).toBe(true)
      expect(started.asked).toHaveLength(failures)
      started.elapse(backOffMs / 2 + 1)
      expect(replica.isPaused(held.digest)).toBe(false)
    }
    expect(new Set(started.results.map(({ reason }) => reason))).toEqual(
      new Set(['provider_unavailable']),
    )
    expect(await started.store.read(held.digest, ['identity', 'tokens'])).toEqual(before)
  })

  test('at most two seconds after a success resets the back-off', async () => {
    const outcomes: RefreshOutcome[] = [failed, failed, failed, refreshed, failed]
    const started = start(async () => outcomes.shift() ?? refreshed)
    const held = await started.openDue()
    const replica = started.replica()
    for (let tries = 0; tries < 5; tries += 1) {
      await replica.refresh(held)
      started.elapse(LIFE_MS)
    }
    const results = started.results.map(({ result }) => result)
    expect(results).toEqual(['failed', 'failed', 'failed', 'refreshed', 'failed'])
    outcomes.push(failed)
    await replica.refresh(held)
    started.elapse(2000)
    expect(replica.isPaused(held.digest)).toBe(false)
  })

  test.for([
    ['as long as the provider asks for', 300_000, 300_000],
    ['an hour at most', 7_200_000, 3_600_000],
  ] as const)('%s, on every replica', async ([, retryAfterMs, waitMs]) => {
    const outcomes: RefreshOutcome[] = [{ ...failed, retryAfterMs }]
    const started = start(async () => outcomes.shift() ?? refreshed)
    const held = await started.openDue()
    const [one, other] = [started.replica(), started.replica()]
    await one.refresh(held)
    await other.refresh(held)
    started.elapse(waitMs - 1)
    await Promise.all([one.refresh(held), other.refresh(held)])
    expect(one.isPaused(held.digest)).toBe(true)
    expect(other.isPaused(held.digest)).toBe(false)
    expect(started.asked).toHaveLength(1)
    started.elapse(1001)
    await Promise.all([one.refresh(held), other.refresh(held)])
    expect(started.asked).toHaveLength(2)
    expect(started.results).toEqual([
      { result: 'failed', reason: 'provider_unavailable' },
      { result: 'refreshed' },
    ])
  })

  test('a second where new tokens could not be stored', async () => {
    let canStore = false
    const started = start(async () => refreshed, { refresher: { canStore: () => canStore } })
    const held = await started.openDue()
    const replica = started.replica()
    await replica.refresh(held)
    expect(replica.isPaused(held.digest)).toBe(false)
    canStore = true
    started.elapse(999)
    await replica.refresh(held)
    expect(started.asked).toEqual([])
    started.elapse(1)
    await replica.refresh(held)
    expect(started.asked).toEqual(['refresh-1'])
  })

  test('a second after a fault of Vestibule, which is reported', async () => {
    const fault = new TypeError('not a function')
    const { started, held, replica } = await refreshDue(async () => {
      throw fault
    })
    await replica.refresh(held)
    expect([started.faults, started.asked, started.results]).toEqual([[fault], ['refresh-1'], []])
    started.elapse(1000)
    await replica.refresh(held)
    expect(started.asked).toEqual(['refresh-1', 'refresh-1'])
  })

  test.for(['acquire', 'read', 'generation'] as const)(
    'a second where the store fails before the token request: %s',
    async (step) => {
      let isAway = true
      const failAt = (at: typeof step) => {
        if (isAway && at === step) outage()
      }
      const [locks, generations] = [createMemoryLocks(), createMemoryGenerations()]
      const started = start(async () => refreshed, {
        wrap: (store) => ({
          ...store,
          read: async (...wanted) => (failAt('read'), store.read(...wanted)),
        }),
        refresher: {
          locks: {
            ...locks,
            acquire: async (...wanted) => (failAt('acquire'), locks.acquire(...wanted)),
          },
          generations: {
            ...generations,
            oldestOf: async (...owners) => (failAt('generation'), generations.oldestOf(...owners)),
          },
        },
      })
      const held = await started.openDue()
      const replica = started.replica()
      await replica.refresh(held)
      isAway = false
      await replica.refresh(held)
      expect(started.asked).toEqual([])
      expect(started.results).toEqual([])
      started.elapse(1000)
      await replica.refresh(held)
      expect(started.results).toEqual([REFRESHED])
    },
  )

  test('a second even when the new token is due at once', async () => {
    const short = { ...issued, accessTokenExpiresInSeconds: 0 }
    const started = start(async () => ({ kind: 'refreshed', issued: short, claims }))
    const held = await started.openDue()
    const replica = started.replica()
    await replica.refresh(held)
    started.elapse(999)
    await replica.refresh(held)
    expect(started.asked).toHaveLength(1)
    expect(replica.isPaused(held.digest)).toBe(false)
    started.elapse(1)
    await replica.refresh(held)
    expect(started.asked).toHaveLength(2)
  })
})

describe('a replica', () => {
  test('it makes at most a hundred token requests at once and drops the next', async () => {
    const { answers, answer } = holdAnswers()
    const started = start(answer)
    const all = await Promise.all(Array.from({ length: 101 }, () => started.open()))
    started.elapse(DUE_MS)
    const replica = started.replica()
    const running = all.slice(0, 100).map((held) => replica.refresh(held))
    const last = all[100] as PresentedSession
    await replica.refresh(last)
    await untilAsked(started, 100)
    for (const each of answers) each(refreshed)
    await Promise.all(running)
    const waiting = replica.refresh(last)
    await untilAsked(started, 101)
    answers[100]?.(refreshed)
    await waiting
    expect(started.results).toHaveLength(101)
  })

  test('it has finished when no refresh is in flight', async () => {
    const { answers, answer } = holdAnswers()
    const started = start(answer)
    const held = await started.openDue()
    await started.replica().finish(60_000)
    const replica = started.replica()
    void replica.refresh(held)
    await untilAsked(started, 1)
    let hasFinished = false
    const finished = replica.finish(60_000).then(() => {
      hasFinished = true
    })
    await turn()
    expect(hasFinished).toBe(false)
    answers[0]?.(refreshed)
    await finished
    expect(await started.tokensOf(held)).toMatchObject({ refreshToken: 'refresh-2' })
  })
})

describe('C65: a store that was away a moment ago', () => {
  /** One that every replica has had time to reach again when the test says so. */
  const startUnsettled = (answer: RefreshTokens, more: StartOptions = {}) => {
    const state = { isSettled: false, epoch: 1, since: STARTED_AT }
    const settling: Settling = {
      get isSettled() {
        return state.isSettled
      },
      get epoch() {
        return state.epoch
      },
      isSettledFor: (createdAt) => state.isSettled || createdAt > state.since,
    }
    return Object.assign(start(answer, { ...more, refresher: { settling } }), { state })
  }

  test('no refresh begins before every replica has had time to store its tokens', async () => {
    const started = startUnsettled(async () => refreshed)
    const held = await started.openDue()
    const replica = started.replica()
    await replica.refresh(held)
    expect([started.asked, started.results]).toEqual([[], []])
    await started.expectFree(held, 'x')
    await started.locks.release(held.digest, 'x')
    started.state.isSettled = true
    await replica.refresh(held)
    expect(started.asked).toEqual([])
    started.elapse(1000)
    await replica.refresh(held)
    expect(started.results).toEqual([REFRESHED])
  })

  test('a session newer than the outage need not wait, and a wrong realm is refused', async () => {
    const started = startUnsettled(async () => refreshed)
    const held = await started.openDue()
    await started.replica().refresh({ ...held, realm: 'other.example.com' })
    expect(started.asked).toEqual([])
    started.state.since = STARTED_AT - 1
    await started.replica().refresh(held)
    expect(started.results).toEqual([REFRESHED])
  })

  test('no refresh begins where an outage came after the lock was taken', async () => {
    const started: ReturnType<typeof startUnsettled> = startUnsettled(async () => refreshed, {
      wrap: (store) => ({
        ...store,
        read: async (...given) => {
          started.state.epoch += 1
          return store.read(...given)
        },
      }),
    })
    started.state.isSettled = true
    const held = await started.openDue()
    await started.replica().refresh(held)
    expect([started.asked, started.results]).toEqual([[], []])
  })

  test('a refusal ends the session only after the other replicas had time to store new tokens', async () => {
    const started = startUnsettled(async () => ({ kind: 'refused' }))
    const held = await started.openDue()
    started.state.isSettled = true
    let isAway = false
    const replica = started.replica({
      endSession: async (digest) => started.sessions.end(digest),
      refreshTokens: async () => {
        started.state.isSettled = false
        isAway = true
        return { kind: 'refused' }
      },
      locks: {
        ...started.locks,
        hold: async (...given) => {
          if (!isAway) return started.locks.hold(...given)
          isAway = false
          return outage()
        },
      },
    })
    const running = replica.refresh(held)
    await vi.waitFor(() => expect(isAway).toBe(false))
    await turn()
    expect(await started.found(held)).toBeDefined()
    started.state.isSettled = true
    await running
    expect(started.results).toEqual([{ result: 'refused' }])
    expect(await started.found(held)).toBeUndefined()
  })

  test.for(['the others', 'nobody, and the process ends'] as const)(
    'a refusal ends nothing where the session was renewed by %s',
    async (who) => {
      const started = startUnsettled(async () => ({ kind: 'refused' }))
      const held = await started.openDue()
      started.state.isSettled = true
      const asked = Promise.withResolvers<void>()
      const replica = started.replica({
        refreshTokens: async () => {
          started.state.isSettled = false
          asked.resolve()
          return { kind: 'refused' }
        },
      })
      const running = replica.refresh(held)
      await asked.promise
      if (who === 'the others') await started.refreshElsewhere(held)
      else await replica.finish(1)
      await running
      expect(started.results).toEqual([])
      expect(await started.found(held)).toBeDefined()
    },
  )

  test('a refusal after a takeover of the lock waits for the silent replica, too', async () => {
    const started = start(async () => ({ kind: 'refused' }))
    const held = await started.openDue()
    await started.locks.acquire(held.digest, 'silent', 'asking 1', DAY_MS)
    const replica = started.replica()
    await replica.refresh(held)
    started.elapse(SILENT_MS)
    const running = replica.refresh(held)
    await vi.waitFor(() => expect(started.asked).toHaveLength(1))
    await turn()
    expect(started.results).toEqual([])
    started.elapse(SETTLE_MS)
    await running
    expect(started.results).toEqual([{ result: 'refused' }])
  })
})
