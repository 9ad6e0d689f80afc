import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { TokenKind } from '../../../src/core/session.ts'
import type { RefreshAnswer, RefreshTokens } from '../../../src/oidc/refresh.ts'
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
import { SETTLE_MS, SETTLED } from '../../../src/store/settling.ts'
import type { Replacement, Store } from '../../../src/store/store.ts'
import { ROOMY } from '../../support/memory-bounds.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'
import {
  away,
  DAY_MS,
  identity,
  newSession,
  outage,
  present,
  REALM,
  STARTED_AT,
  startSessions,
} from '../../support/started-sessions.ts'
import { unsignedToken } from '../../support/unsigned-token.ts'

const LIFE_MS = 60_000
const DUE_MS = 45_000
const GRACE_MS = 3_600_000
const USER = userOwner(identity.issuer, identity.subject).id
const PROVIDER_SESSION = newSession.metadata.owners.providerSession as string

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
const refreshed: RefreshAnswer = { kind: 'refreshed', issued, claims }
const refused: RefreshAnswer = { kind: 'refused' }
const declined = {
  kind: 'declined',
  reason: 'invalid_request',
  facts: { http_status: 400 },
} as const
const failed: RefreshAnswer = { kind: 'failed', reason: 'provider_unavailable' }
const REFRESHED = { result: 'refreshed' }
const NEW_TOKENS = expect.objectContaining({ refreshToken: 'refresh-2' }) as Tokens

const clock = useMonotonicClock()

interface DueOptions extends Partial<SessionRefresherOptions> {
  readonly wrap?: (store: Store) => Store
  readonly kept?: Tokens
  readonly waitMs?: number
}
type Due = Awaited<ReturnType<typeof startDue>>

async function startDue(answer: RefreshAnswer | RefreshTokens, changes: DueOptions = {}) {
  const { wrap = (inner: Store) => inner, kept = tokens, waitMs = DUE_MS, ...refresher } = changes
  const generations = createMemoryGenerations(ROOMY)
  const locks = createMemoryLocks(ROOMY)
  const started = startSessions({ generations, wrap })
  const told = {
    asked: [] as string[],
    results: [] as { result: RefreshResult; reason?: string }[],
    revoked: [] as RevocableTokens[],
    renewed: [] as string[],
    ended: [] as string[],
    faults: [] as unknown[],
  }
  const store = wrap(started.store)
  let elapsedMs = 0
  const options: SessionRefresherOptions = {
    store,
    sessionsByOwner: started.index,
    settling: SETTLED,
    renewedRecords: createRenewedRecords(store),
    locks,
    generations,
    codec: started.codec,
    sessionCache: started.sessionCache,
    identity: {
      groupsClaim: 'groups',
      emailClaim: 'email',
      trustEmail: false,
      claims: [],
    },
    passedTokens: new Set(),
    refreshTokens: async (refreshable) => {
      told.asked.push(refreshable.refreshToken)
      return typeof answer === 'function' ? answer(refreshable) : answer
    },
    endSession: (digest, reason) => (told.ended.push(reason), started.sessions.end(digest, reason)),
    revokeTokens: async (taken) => void told.revoked.push(taken),
    onRenewed: (digest) => told.renewed.push(digest),
    patienceMs: GRACE_MS,
    canStore: () => true,
    now: () => STARTED_AT + elapsedMs,
    onResult: (result, { reason }) => told.results.push({ result, ...(reason && { reason }) }),
    onFault: (cause) => told.faults.push(cause),
    ...refresher,
  }
  const elapse = (ms: number): void => {
    elapsedMs += ms
    started.elapse(ms)
    clock.elapse(ms)
  }
  const open = async () => present(await started.open({ tokens: kept }))
  const held = await open()
  elapse(waitMs)
  const { digest, credential } = held
  const replica = (changed: Partial<SessionRefresherOptions> = {}) => {
    const made = createSessionRefresher({ ...options, ...changed })
    const finish = (withinMs: number) => made.finish(withinMs)
    const isPaused = () => made.failureOf(digest) !== undefined
    return { refresh: (by = held) => made.refresh(by), isPaused, finish }
  }
  return {
    ...started,
    ...told,
    generations,
    locks,
    held,
    elapse,
    open,
    replica,
    ...replica(),
    untilAsked: (times: number) => vi.waitFor(() => expect(told.asked).toHaveLength(times)),
    expectFree: async (owner = 'somebody', of = digest) =>
      expect(await options.locks.acquire(of, { owner, note: 'taken', ttlMs: 1000 })).toEqual({
        isOurs: true,
      }),
    found: async () => (await started.sessions.find(credential, REALM))?.session,
    tokens: () => started.sessions.findTokens(credential, REALM),
    refreshElsewhere: async () => {
      const before = await started.sealed(credential)
      const others = { ...tokens, accessToken: 'elsewhere' }
      const holder = { secret: credential.secret, realm: REALM }
      const after = { ...before, tokens: started.codec.seal(digest, 'tokens', others, holder) }
      return started.store.replace(digest, after, before.tokens)
    },
  }
}

async function startHeld(options: DueOptions = {}) {
  const answers: ((outcome: RefreshAnswer) => void)[] = []
  const due = await startDue(() => new Promise((resolve) => answers.push(resolve)), options)
  return { ...due, answer: (at = 0) => answers[at]?.(refreshed) }
}

/** Returns an ID token that ends so long after the start. */
function endingAt(ms: number): string {
  return unsignedToken({ exp: (STARTED_AT + ms) / 1000 })
}

describe('a session that is due', () => {
  test('its identity and tokens are replaced, and its cached copy is not served any more', async () => {
    const seen: unknown[] = []
    const due = await startDue(async (refreshable) => (seen.push(refreshable), refreshed))
    const before = await due.found()
    expect(due.sessions.recall(due.held.credential, REALM)).toBeDefined()
    await due.refresh()
    expect(due.sessions.recall(due.held.credential, REALM)).toBeUndefined()
    const { issuer, subject } = identity
    expect(seen).toEqual([{ refreshToken: 'refresh-1', idToken: 'id-1', issuer, subject }])
    const endsAt = STARTED_AT + DUE_MS + LIFE_MS
    expect(await due.found()).toEqual({
      ...before,
      identity: { issuer, subject, name: 'Alice', groups: ['staff'], claims: {} },
      renewal: { dueAt: STARTED_AT + DUE_MS + DUE_MS, endsAt },
    })
    const { accessTokenExpiresInSeconds: _, ...given } = issued
    expect(await due.tokens()).toEqual({ ...given, accessTokenExpiresAt: endsAt, generation: 0 })
    expect([due.results, due.renewed, due.ended]).toEqual([[REFRESHED], [due.held.digest], []])
  })

  test('is indexed again by user and provider session where the index had lost it', async () => {
    const { index, held, refresh, elapse } = await startDue(refreshed)
    const listed = () =>
      Promise.all([index.list('user', USER), index.list('providerSession', PROVIDER_SESSION)])
    await index.remove(held.digest, newSession.metadata.owners)
    expect(await listed()).toEqual([[], []])
    await refresh()
    expect(await listed()).toEqual([[held.digest], [held.digest]])
    elapse(DAY_MS - DUE_MS)
    expect(await listed()).toEqual([[], []])
  })

  test('its new tokens are stored and served although the index cannot be repaired', async () => {
    const due = await startDue(refreshed)
    await due.replica({ sessionsByOwner: { ...due.index, add: async () => outage() } }).refresh()
    expect([due.results, due.faults, await due.tokens()]).toEqual([[REFRESHED], [], NEW_TOKENS])
    expect(due.sessions.recall(due.held.credential, REALM)).toBeUndefined()
  })

  test('keeps the tokens and identity that the answer leaves out', async () => {
    const given = { accessToken: 'access-2', accessTokenExpiresInSeconds: 60 }
    const due = await startDue({ kind: 'refreshed', issued: given })
    await due.refresh()
    const accessTokenExpiresAt = STARTED_AT + DUE_MS + LIFE_MS
    expect(await due.tokens()).toEqual({ ...tokens, accessToken: 'access-2', accessTokenExpiresAt })
    expect(await due.found()).toMatchObject({ identity })
  })

  test('keeps the groups that UserInfo named before where it could not be had this time', async () => {
    const { groups: _, ...said } = claims
    const due = await startDue({ kind: 'refreshed', issued, claims: said, lacksUserInfo: true })
    await due.refresh()
    expect(await due.found()).toMatchObject({ identity: { ...identity, name: 'Alice' } })
  })

  test.for<[what: string, passed: TokenKind, lifeMs: number]>([
    ['that apps are given', 'id-token', 20_000],
    ['that they are not given', 'access-token', LIFE_MS],
  ])('is due before the end of an ID token %s', async ([, passed, lifeMs]) => {
    const answer = { ...refreshed, issued: { ...issued, idToken: endingAt(DUE_MS + 20_000) } }
    const due = await startDue(answer, { passedTokens: new Set([passed]) })
    await due.refresh()
    const dueAt = STARTED_AT + DUE_MS + (lifeMs * 3) / 4
    const renewal = { dueAt, endsAt: STARTED_AT + DUE_MS + lifeMs }
    expect(await due.found()).toMatchObject({ renewal })
  })

  test('is not refreshed again when the new token has no expiry', async () => {
    const due = await startDue({ kind: 'refreshed', issued: { accessToken: 'access-2' }, claims })
    await due.refresh()
    const session = await due.found()
    expect(session?.identity.groups).toEqual(['staff'])
    expect(session).not.toHaveProperty('renewal')
    expect(await due.tokens()).not.toHaveProperty('accessTokenExpiresAt')
  })
})

describe('no token request is made', () => {
  const NOISE = { identity: Buffer.from('nonsense') }
  const { refreshToken: _, ...withoutRefresh } = tokens
  const { accessTokenExpiresAt: __, ...withoutExpiry } = tokens

  test.for<[string, DueOptions, ((due: Due) => PresentedSession | Promise<unknown>)?]>([
    ['a millisecond before the session is due', { waitMs: DUE_MS - 1 }],
    ['for a session without a refresh token', { kept: withoutRefresh }],
    ['for a session whose token has no expiry', { kept: withoutExpiry }],
    ['for another secret', {}, ({ held }) => present({ ...held.credential, secret: 'x' })],
    ['for another realm', {}, ({ held }) => ({ ...held, realm: 'other.example.com' })],
    ['for an id of no session', {}, () => present({ id: 'i'.repeat(43), secret: 's'.repeat(43) })],
    [
      'for a session that has ended',
      {},
      ({ sessions, held }) => sessions.end(held.digest, 'operator'),
    ],
    ['for a damaged record', {}, ({ overwrite, held }) => overwrite(held.credential, NOISE)],
  ])('no token request is made %s', async ([, options, act]) => {
    const due = await startDue(refreshed, options)
    const acted = await act?.(due)
    const presented = typeof acted === 'object' ? (acted as PresentedSession) : due.held
    const stored = () => due.store.read(due.held.digest, ['identity', 'tokens', 'metadata'])
    const before = await stored()
    await due.refresh(presented)
    expect([due.asked, due.results, await stored()]).toEqual([[], [], before])
    await due.expectFree('somebody', presented.digest)
    if (act && before.identity?.equals(NOISE.identity))
      expect(due.integrityFailures).toHaveLength(1)
  })
})

describe('single flight', () => {
  test('concurrent callers at a replica share one token request and all wait for it', async () => {
    const { refresh, untilAsked, answer, asked, results } = await startHeld()
    const callers = () => Array.from({ length: 50 }, () => refresh())
    let done = 0
    const all = callers().map((each) => each.then(() => void (done += 1)))
    await untilAsked(1)
    await turn()
    expect(done).toBe(0)
    answer()
    await Promise.all(all)
    await Promise.all(callers())
    expect([asked, results]).toEqual([['refresh-1'], [REFRESHED]])
  })

  test('concurrent replicas make one token request, a late one none; the others try again after a second', async () => {
    const due = await startHeld()
    const [two, three] = [due.replica(), due.replica()]
    const first = due.refresh()
    await due.untilAsked(1)
    await Promise.all([two.refresh(), three.refresh()])
    expect(two.isPaused()).toBe(false)
    due.answer()
    await first
    await due.replica().refresh()
    due.elapse(LIFE_MS)
    const again = two.refresh()
    await due.untilAsked(2)
    due.answer(1)
    await again
    expect(due.asked).toEqual(['refresh-1', 'refresh-2'])
  })

  test('the lock lasts as long as the token request', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const due = await startHeld()
    const first = due.refresh()
    const other = due.replica()
    for (let seconds = 0; seconds < 30; seconds += 3) {
      await turn()
      due.elapse(3000)
      await vi.advanceTimersByTimeAsync(3000)
      await other.refresh()
    }
    expect(due.asked).toEqual(['refresh-1'])
    due.answer()
    await first
    expect([vi.getTimerCount(), due.results]).toEqual([0, [REFRESHED]])
    await due.expectFree()
  })

  test('a lock that cannot be extended ends no refresh and is released when the store is back', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const memory = createMemoryLocks(ROOMY)
    let isAway = false
    let tries = 0
    const due = await startHeld({
      locks: {
        ...memory,
        hold: async (...given) => (isAway ? outage() : memory.hold(...given)),
        release: async (...given) => (++tries < 2 ? outage() : memory.release(...given)),
      },
    })
    const running = due.refresh()
    await due.untilAsked(1)
    isAway = true
    await vi.advanceTimersByTimeAsync(3000)
    due.answer()
    await running
    expect([due.results, tries]).toEqual([[REFRESHED], 2])
    await due.expectFree()
  })
})

describe('the end of the session', () => {
  test.for<[RefreshResult, RefreshAnswer, { reason?: string }]>([
    ['refused', refused, {}],
    ['rejected', { kind: 'rejected', reason: 'sign_in_failed' }, { reason: 'sign_in_failed' }],
  ])('ends when the answer of the provider is %s', async ([result, outcome, about]) => {
    const due = await startDue(outcome)
    await due.refresh()
    expect([due.results, due.revoked]).toEqual([[{ result, ...about }], []])
    expect([due.ended, due.renewed]).toEqual([['provider'], []])
    expect(await due.found()).toBeUndefined()
    expect(due.sessions.recall(due.held.credential, REALM)).toBeUndefined()
    expect(due.calls).toContain(`end ${DAY_MS}`)
    expect(due.isPaused()).toBe(false)
  })

  test.for([
    ['the user’s', 'operator', USER],
    ['those of the same session at the provider', 'provider', PROVIDER_SESSION],
    ['everybody’s', 'operator', undefined],
  ] as const)('ends unasked where all sessions, %s, were ended: %s', async ([, reason, owner]) => {
    const due = await startDue(refreshed)
    await due.generations.advance(owner, DAY_MS)
    await due.refresh()
    expect([due.results, due.asked, due.ended]).toEqual([[{ result: 'revoked' }], [], [reason]])
    expect(await due.found()).toBeUndefined()
  })

  test('a session without a generation ends in the same way, and not with those of another user', async () => {
    const { generation: _, ...kept } = tokens
    const due = await startDue(refreshed, { kept })
    await due.generations.advance(userOwner(identity.issuer, 'u2').id, DAY_MS)
    await due.refresh()
    await due.generations.advance(USER, DAY_MS)
    due.elapse(LIFE_MS)
    await due.refresh()
    expect(due.results).toEqual([REFRESHED, { result: 'revoked' }])
  })

  test.for<[string, RefreshAnswer, DueOptions]>([
    ['a refusal', refused, {}],
    ['another definite refusal behind the grace (C20)', declined, { patienceMs: -DUE_MS }],
  ])(
    '%s does not end it when another replica has stored new tokens',
    async ([, outcome, options]) => {
      const due: Due = await startDue(async () => (await due.refreshElsewhere(), outcome), options)
      await due.refresh()
      expect(due.results).toEqual([])
      expect(await due.tokens()).toMatchObject({ accessToken: 'elsewhere' })
    },
  )

  test('C20: another definite refusal ends it behind the grace, at whichever replica asks then', async () => {
    const due = await startDue({ ...declined, retryAfterMs: GRACE_MS }, { patienceMs: DUE_MS })
    const [one, two] = [due.replica(), due.replica()]
    await one.refresh()
    due.elapse(LIFE_MS - 100)
    await two.refresh()
    expect([due.asked.length, await due.found()]).toMatchObject([1, { identity }])
    due.elapse(1100)
    await two.refresh()
    const why = { reason: declined.reason }
    expect([due.results, due.asked.length]).toEqual([
      [
        { result: 'failed', ...why },
        { result: 'refused', ...why },
      ],
      2,
    ])
    expect([await due.found(), two.isPaused(), due.ended]).toEqual([undefined, false, ['provider']])
  })

  test('C20: a back-off after such a refusal ends with the grace', async () => {
    const due = await startDue({ ...declined, retryAfterMs: GRACE_MS }, { patienceMs: DUE_MS })
    await due.refresh()
    due.elapse(LIFE_MS - 100)
    expect(due.isPaused()).toBe(true)
    due.elapse(100)
    expect(due.isPaused()).toBe(false)
  })

  test('a refusal does not end it when another replica holds the lock and may store new tokens', async () => {
    const lease = { owner: 'somebody', note: 'taken', ttlMs: 10_000 }
    const acquire = (owner = lease.owner) => due.locks.acquire(due.held.digest, { ...lease, owner })
    const due: Due = await startDue(async () => {
      const found = await acquire()
      if (found.isOurs) throw new Error('nobody has the lock')
      await due.locks.takeOver(due.held.digest, lease, found.value)
      return refused
    })
    await due.refresh()
    expect([due.results, await due.found()]).toMatchObject([[], { identity }])
    expect(await acquire('yet another')).toEqual({ isOurs: false, value: 'somebody taken' })
  })

  test('ends later when the store is away', async () => {
    const due = await startDue(refused)
    due.break('end')
    await due.refresh()
    expect(due.results).toEqual([])
    due.mend()
    due.elapse(1000)
    await due.refresh()
    expect([due.results, await due.found()]).toEqual([[{ result: 'refused' }], undefined])
  })
})

describe('tokens that come too late', () => {
  test('are dropped, and not revoked, where another replica has stored newer ones', async () => {
    const due: Due = await startDue(async () => (await due.refreshElsewhere(), refreshed))
    await due.refresh()
    expect([due.results, due.revoked]).toEqual([[{ result: 'late' }], []])
    expect(await due.tokens()).toMatchObject({ accessToken: 'elsewhere' })
  })

  test.for<[string, DueOptions, readonly RevocableTokens[]]>([
    ['they are revoked', {}, [issued]],
    ['a failed revocation does no harm', { revokeTokens: async () => away() }, []],
  ])('%s where the session has ended meanwhile', async ([, options, revoked]) => {
    const endFirst = async () => (await due.sessions.end(due.held.digest, 'operator'), refreshed)
    const due: Due = await startDue(endFirst, options)
    await due.refresh()
    expect([due.results, due.revoked, due.faults]).toEqual([[{ result: 'gone' }], revoked, []])
    expect(await due.found()).toBeUndefined()
  })
})

describe('tokens that cannot be stored', () => {
  const startFailing = (
    fail: (attempt: number, write: () => Promise<Replacement>) => Promise<Replacement>,
  ) => {
    let attempts = 0
    return startDue(refreshed, {
      wrap: (store) => ({
        ...store,
        replace: (...written) => fail(++attempts, () => store.replace(...written)),
      }),
    })
  }

  test.for([
    ['when the store is back', 1, 0],
    ['however long the outage was', 2, 10 * 60_000],
  ] as const)('are stored %s', async ([, failures, passedMs]) => {
    const due: Due = await startFailing(async (attempt, write) => {
      due.elapse(passedMs)
      return attempt <= failures ? outage() : write()
    })
    await due.refresh()
    expect([due.results, await due.tokens()]).toEqual([[REFRESHED], NEW_TOKENS])
  })

  test('are reported lost when the process ends first', async () => {
    const waiting = Promise.withResolvers<void>()
    const due = await startFailing(async () => (waiting.resolve(), outage()))
    const running = due.refresh()
    await waiting.promise
    await due.finish(1)
    await running
    expect([due.results, await due.tokens()]).toEqual([[{ result: 'lost' }], tokens])
  })

  test('are lost at once where the store refuses them', async () => {
    let attempts = 0
    const due = await startFailing(async (attempt) => ((attempts = attempt), away()))
    await due.refresh()
    expect([due.results, attempts]).toEqual([[{ result: 'lost' }], 1])
  })
})

describe('the next try waits', () => {
  test('in a back-off that doubles up to a minute', async () => {
    const { store, held, refresh, isPaused, elapse, asked, results } = await startDue(failed)
    const stored = () => store.read(held.digest, ['identity', 'tokens'])
    const before = await stored()
    for (let failures = 1; failures <= 9; failures += 1) {
      await refresh()
      expect(asked).toHaveLength(failures)
      const backOffMs = Math.min(60_000, 1000 * 2 ** (failures - 1))
      elapse(backOffMs / 2 - 1)
      await refresh()
      expect([isPaused(), asked.length]).toEqual([true, failures])
      elapse(backOffMs / 2 + 1)
      expect(isPaused()).toBe(false)
    }
    expect(new Set(results.map(({ reason }) => reason))).toEqual(new Set(['provider_unavailable']))
    expect(await stored()).toEqual(before)
  })

  test('at most two seconds after a success resets the back-off', async () => {
    const outcomes = [failed, failed, failed, refreshed, failed, failed]
    const answer = async () => outcomes.shift() ?? refreshed
    const { refresh, isPaused, elapse, results } = await startDue(answer)
    for (let tries = 0; tries < 5; tries += 1) {
      await refresh()
      elapse(LIFE_MS)
    }
    const kinds = results.map(({ result }) => result)
    expect(kinds).toEqual(['failed', 'failed', 'failed', 'refreshed', 'failed'])
    await refresh()
    elapse(2000)
    expect(isPaused()).toBe(false)
  })

  test.for([
    ['as long as the provider asks for', 300_000, 300_000],
    ['an hour at most', 7_200_000, 3_600_000],
  ] as const)('%s, on every replica', async ([, retryAfterMs, waitMs]) => {
    const outcomes = [{ ...failed, retryAfterMs }]
    const one = await startDue(async () => outcomes.shift() ?? refreshed)
    const other = one.replica()
    const both = () => Promise.all([one.refresh(), other.refresh()])
    await one.refresh()
    await other.refresh()
    one.elapse(waitMs - 1)
    await both()
    expect([one.isPaused(), other.isPaused(), one.asked.length]).toEqual([true, false, 1])
    one.elapse(1001)
    await both()
    expect(one.asked).toHaveLength(2)
    expect(one.results).toEqual([{ result: 'failed', reason: 'provider_unavailable' }, REFRESHED])
  })

  test('a second where new tokens could not be stored', async () => {
    let canStore = false
    const options = { canStore: () => canStore }
    const { refresh, isPaused, elapse, asked } = await startDue(refreshed, options)
    await refresh()
    expect(isPaused()).toBe(false)
    canStore = true
    elapse(999)
    await refresh()
    expect(asked).toEqual([])
    elapse(1)
    await refresh()
    expect(asked).toEqual(['refresh-1'])
  })

  test('a second after a fault of Vestibule, which is reported', async () => {
    const fault = new TypeError('not a function')
    const due = await startDue(() => Promise.reject(fault))
    await due.refresh()
    await due.refresh()
    expect([due.faults, due.asked, due.results]).toEqual([[fault], ['refresh-1'], []])
    due.elapse(1000)
    await due.refresh()
    expect(due.asked).toEqual(['refresh-1', 'refresh-1'])
  })

  test.for(['acquire', 'read', 'oldestOf'] as const)('a second after %s failed', async (step) => {
    let isAway = true
    const failing = <T extends object>(port: T): T =>
      new Proxy(port, {
        get: (target, name, self) =>
          isAway && name === step ? async () => outage() : Reflect.get(target, name, self),
      })
    const due = await startDue(refreshed, {
      wrap: failing,
      locks: failing(createMemoryLocks(ROOMY)),
      generations: failing(createMemoryGenerations(ROOMY)),
    })
    await due.refresh()
    isAway = false
    await due.refresh()
    expect([due.asked, due.results]).toEqual([[], []])
    due.elapse(1000)
    await due.refresh()
    expect(due.results).toEqual([REFRESHED])
  })

  test('a second even when the new token is due at once', async () => {
    const short = { ...issued, accessTokenExpiresInSeconds: 0 }
    const due = await startDue({ kind: 'refreshed', issued: short, claims })
    await due.refresh()
    due.elapse(999)
    await due.refresh()
    expect([due.asked.length, due.isPaused()]).toEqual([1, false])
    due.elapse(1)
    await due.refresh()
    expect(due.asked).toHaveLength(2)
  })
})

describe('a replica', () => {
  test('makes at most a hundred token requests at once and drops the next', async () => {
    const { open, elapse, refresh, untilAsked, answer, results } = await startHeld()
    const last = await open()
    const all = await Promise.all(Array.from({ length: 100 }, () => open()))
    elapse(DUE_MS)
    const running = all.map((held) => refresh(held))
    await refresh(last)
    await untilAsked(100)
    for (const at of all.keys()) answer(at)
    await Promise.all(running)
    const waiting = refresh(last)
    await untilAsked(101)
    answer(100)
    await waiting
    expect(results).toHaveLength(101)
  })

  test('has finished when no refresh is in flight', async () => {
    const due = await startHeld()
    await due.replica().finish(60_000)
    void due.refresh()
    await due.untilAsked(1)
    let hasFinished = false
    const finished = due.finish(60_000).then(() => void (hasFinished = true))
    await turn()
    expect(hasFinished).toBe(false)
    due.answer()
    await finished
    expect(await due.tokens()).toEqual(NEW_TOKENS)
  })
})

describe('C65: a store that was away a moment ago', () => {
  const startUnsettled = async (answer: RefreshAnswer, changes: DueOptions = {}) => {
    const settling = {
      isSettled: false,
      interruptions: 1,
      since: STARTED_AT,
      isSettledFor: (createdAt: number) => settling.isSettled || createdAt > settling.since,
    }
    return { ...(await startDue(answer, { settling, ...changes })), settling }
  }
  type Unsettled = Awaited<ReturnType<typeof startUnsettled>>

  test('no refresh begins before every replica has had time to store its tokens', async () => {
    const due = await startUnsettled(refreshed)
    await due.refresh()
    expect([due.asked, due.results]).toEqual([[], []])
    await due.expectFree('x')
    await due.locks.release(due.held.digest, 'x')
    due.settling.isSettled = true
    await due.refresh()
    expect(due.asked).toEqual([])
    due.elapse(1000)
    await due.refresh()
    expect(due.results).toEqual([REFRESHED])
  })

  test('a session newer than the outage need not wait, and a wrong realm is refused', async () => {
    const due = await startUnsettled(refreshed)
    await due.refresh({ ...due.held, realm: 'other.example.com' })
    expect(due.asked).toEqual([])
    due.settling.since = STARTED_AT - 1
    await due.replica().refresh()
    expect(due.results).toEqual([REFRESHED])
  })

  test('no refresh begins where an outage came after the lock was taken', async () => {
    const due: Unsettled = await startUnsettled(refreshed, {
      wrap: (store) => ({
        ...store,
        read: async (...given) => {
          due.settling.interruptions += 1
          return store.read(...given)
        },
      }),
    })
    due.settling.isSettled = true
    await due.refresh()
    expect([due.asked, due.results]).toEqual([[], []])
  })

  const startRefused = async (locks: (due: Unsettled) => Partial<Locks> = () => ({})) => {
    const due = await startUnsettled(refused)
    due.settling.isSettled = true
    const asked = Promise.withResolvers<void>()
    const replica = due.replica({
      refreshTokens: async () => {
        due.settling.isSettled = false
        asked.resolve()
        return refused
      },
      locks: { ...due.locks, ...locks(due) },
    })
    const running = replica.refresh()
    await asked.promise
    return { ...due, finish: replica.finish, running }
  }

  test('a refusal ends the session only after the other replicas had time to store new tokens', async () => {
    let failures = 0
    const hold: (due: Unsettled) => Locks['hold'] =
      (due) =>
      async (...given) =>
        due.settling.isSettled || failures > 0 ? due.locks.hold(...given) : (failures++, outage())
    const due = await startRefused((each) => ({ hold: hold(each) }))
    await vi.waitFor(() => expect(failures).toBe(1))
    await turn()
    expect(await due.found()).toBeDefined()
    due.settling.isSettled = true
    await due.running
    expect([due.results, await due.found()]).toEqual([[{ result: 'refused' }], undefined])
  })

  const others = ['a renewal beside', 'the end'] as const
  test.for(others)('a refusal ends nothing after %s of the process', async (who) => {
    const due = await startRefused()
    if (who === 'a renewal beside') await due.refreshElsewhere()
    else await due.finish(1)
    await due.running
    expect([due.results, await due.found()]).toEqual([[], expect.anything()])
  })

  test('a refusal after a takeover of the lock waits for the silent replica, too', async () => {
    const due = await startDue(refused)
    await due.locks.acquire(due.held.digest, { owner: 'silent', note: 'asking 1', ttlMs: DAY_MS })
    await due.refresh()
    due.elapse(SILENT_MS)
    const running = due.refresh()
    await due.untilAsked(1)
    await turn()
    expect(due.results).toEqual([])
    due.elapse(SETTLE_MS)
    await running
    expect(due.results).toEqual([{ result: 'refused' }])
  })
})
