import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { OutageError } from '../../src/errors.ts'
import type { FindOptions } from '../../src/session/find-session.ts'
import type { Store } from '../../src/store/store.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import * as given from '../support/started-sessions.ts'

const TIME: FindOptions = { timeoutMs: 250 }
const ELSEWHERE = 'wiki.example.com'
const READ = 'read identity'
const FOUND = expect.objectContaining({
  session: expect.objectContaining({ identity: given.identity }) as unknown,
  source: 'store',
}) as unknown
const wrongly = (credential: SessionCredential) => ({ ...credential, secret: 's'.repeat(43) })

/** Opens a session whose reads are shared, and held up after `hold()` until each is released. */
const startOpen = async (changes: given.StartedSessionsOptions = {}) => {
  const waiting: PromiseWithResolvers<void>[] = []
  const timeouts: (number | undefined)[] = []
  let isWaiting = false
  const started = given.startSessions({
    canShareReads: true,
    wrap: (store) => ({
      ...store,
      read: async (digest, parts, timeoutMs) => {
        timeouts.push(timeoutMs)
        const records = await store.read(digest, parts)
        if (!isWaiting) return records
        const release = Promise.withResolvers<void>()
        waiting.push(release)
        await release.promise
        return records
      },
    }),
    ...changes,
  })
  const credential = await started.open()
  started.calls.length = 0
  return {
    ...started,
    credential,
    waiting,
    timeouts,
    find: (by = credential, realm = given.REALM) => started.sessions.find(by, realm, TIME),
    recalled: (by = credential) => started.sessions.recall(by, given.REALM),
    holdReads: () => {
      isWaiting = true
      started.sessionCache.clear()
    },
    release: (at: number) => waiting[at]?.resolve(),
  }
}

describe('many who ask for the same session at once', () => {
  test.for([
    [true, 1],
    [false, 20],
  ] as const)('where reads are shared (%s) 20 of them are %i reads', async ([shared, reads]) => {
    const { find, calls } = await startOpen({ canShareReads: shared })
    const all = await Promise.all(Array.from({ length: 20 }, () => find()))
    expect(calls).toEqual(Array.from({ length: reads }, () => READ))
    expect(all).toEqual(Array.from({ length: 20 }, () => FOUND))
  })

  test('what comes after the answer asks anew, and each session is asked for by itself', async () => {
    const { find, open, calls } = await startOpen()
    for (let count = 0; count < 3; count += 1) await find()
    expect(calls.splice(0)).toEqual([READ, READ, READ])
    const other = await open()
    calls.length = 0
    await Promise.all([find(), find(other)])
    expect(calls).toEqual([READ, READ])
  })

  test('a failure is the answer of all of them, and what comes after it asks anew', async () => {
    const started = await startOpen()
    started.holdReads()
    started.break('read')
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => started.find()))
    expect(outcomes.map(({ status }) => status)).toEqual(Array(5).fill('rejected'))
    expect(started.timeouts).toHaveLength(1)
    started.mend()
    const again = started.find()
    await turn()
    started.release(0)
    expect([await again, started.timeouts.length]).toEqual([FOUND, 2])
  })

  test('who asks after something was evicted does not join who asked before', async () => {
    const { find, recalled, sessionCache, calls, waiting, holdReads, release } = await startOpen()
    holdReads()
    const first = find()
    sessionCache.evict('another')
    const second = find()
    await turn()
    expect(calls).toEqual([READ, READ])
    release(0)
    await first
    expect(recalled()).toBeUndefined()
    const third = find()
    await turn()
    expect([calls.length, waiting.length]).toEqual([2, 2])
    release(1)
    expect(await Promise.all([second, third])).toEqual([FOUND, FOUND])
    expect(recalled()).toMatchObject({ session: { identity: given.identity } })
  })

  test('who joins has to hold the session all the same, and who holds it may join a stranger', async () => {
    const started = await startOpen()
    const { find, recalled, credential, calls, integrityFailures, holdReads, release } = started
    holdReads()
    const stranger = wrongly(credential)
    const all = [find(stranger), find(), find(stranger), find(credential, ELSEWHERE)]
    await turn()
    expect(calls).toEqual([READ])
    release(0)
    expect(await Promise.all(all)).toEqual([undefined, FOUND, undefined, undefined])
    expect(integrityFailures).toHaveLength(3)
    expect([recalled(stranger), recalled()]).toEqual([undefined, expect.anything()])
  })

  test('a check does not wait for the read of somebody with more time', async () => {
    const { find, sessions, credential, timeouts, waiting, holdReads, release } = await startOpen()
    holdReads()
    const page = sessions.find(credential, given.REALM)
    const check = find()
    await turn()
    expect([timeouts, waiting.length]).toEqual([[undefined, 250], 2])
    release(1)
    expect(await check).toEqual(FOUND)
    release(0)
    await page
  })

  test.for<[string, (started: ReturnType<typeof given.startSessions>, digest: string) => void]>([
    ['heard of', ({ sessions }, digest) => sessions.receiveEnded(digest, 'operator')],
    ['known', ({ sessions }, digest) => sessions.revocations.note(digest, 'operator')],
  ])('an end that is %s while the read is under way counts', async ([, end]) => {
    const started = await startOpen()
    started.holdReads()
    const all = [started.find(), started.find()]
    await turn()
    end(started, given.sessionDigest(started.credential))
    started.release(0)
    expect(await Promise.all(all)).toEqual([undefined, undefined])
    expect(started.recalled()).toBeUndefined()
  })
})

test('where every check has to ask, memory is not looked in and the same bytes are opened once', async () => {
  const lookUps: string[] = []
  const { find, recalled, calls } = await startOpen({
    l1: { canRecall: false, onLookUp: (result) => void lookUps.push(result) },
  })
  const first = await find()
  expect(recalled()).toBeUndefined()
  expect((await find())?.session).toBe(first?.session)
  expect([calls, lookUps]).toEqual([[READ, READ], []])
})

interface FailingOptions extends given.StartedSessionsOptions {
  readonly isInMemory?: boolean
}

/** Finds a session once and takes its outage assertion; reads of the store fail as told from then on. */
const startFailing = async (
  fail: Store['read'] = async () => given.outage(),
  { isInMemory = true, ...changes }: FailingOptions = {},
) => {
  let isFailing = false
  const started = given.startSessions({
    wrap: (store) => ({
      ...store,
      read: (...asked) => (isFailing ? fail(...asked) : store.read(...asked)),
    }),
    ...changes,
  })
  const { sessions, assertions, sessionCache } = started
  const credential = await started.open()
  const found = await sessions.find(credential, given.REALM)
  const issued =
    found?.source === 'store' ? assertions.issue(found, given.present(credential)) : undefined
  if (!isInMemory) sessionCache.clear()
  isFailing = true
  started.calls.length = 0
  let asked = 0
  return {
    ...started,
    credential,
    found,
    timesAsked: () => asked,
    /** Finds the session for a browser that carries its assertion, or another text. */
    find: (
      by = credential,
      realm = given.REALM,
      carried: { readonly text?: string | undefined } = { text: issued },
    ) => sessions.find(by, realm, { standIn: { assertion: () => (asked++, carried.text) } }),
  }
}
const OUTAGE = expect.any(OutageError) as OutageError

describe('while the store cannot be asked', () => {
  test('what the browser carries stands in where memory has nothing', async () => {
    const { find, found, sessions, credential, sessionCache } = await startFailing(undefined, {
      isInMemory: false,
    })
    expect(await find()).toEqual({
      session: found?.session,
      source: 'assertion',
    })
    expect([sessionCache.size, sessions.recall(credential, given.REALM)]).toEqual([0, undefined])
  })

  const unforeseen = async () => Promise.reject(new TypeError('x is undefined'))
  test.for<[string, boolean, Store['read']]>([
    ['a plain failure', true, async () => given.away()],
    ['a plain failure', false, async () => given.away()],
    ['a failure that nobody foresaw', true, unforeseen],
    ['a failure that nobody foresaw', false, unforeseen],
  ])('%s is not an outage: nothing stands in (in memory: %s)', async ([, isInMemory, fail]) => {
    const { find, timesAsked } = await startFailing(fail, { isInMemory })
    await expect(find()).rejects.toThrow(/^(?:away|x is undefined)$/)
    expect(timesAsked()).toBe(0)
  })

  const NOISE = { identity: Buffer.from('noise') }
  test.for<[string, boolean, Awaited<ReturnType<Store['read']>>]>([
    ['a miss', true, {}],
    ['a miss', false, {}],
    ['a record that does not open', true, NOISE],
    ['a record that does not open', false, NOISE],
  ])('%s is an answer: nothing stands in (in memory: %s)', async ([, isInMemory, answer]) => {
    const { find, timesAsked } = await startFailing(async () => answer, { isInMemory })
    expect([await find(), timesAsked()]).toEqual([undefined, 0])
  })

  test('without leave nothing stands in', async () => {
    const { sessions, credential } = await startFailing()
    await expect(sessions.find(credential, given.REALM)).rejects.toThrow(OUTAGE)
    await expect(sessions.find(credential, given.REALM, TIME)).rejects.toThrow(OUTAGE)
  })

  test.for([
    ['no assertion', {}],
    ['an empty one', { text: '' }],
    ['noise', { text: 'v1.0.noise' }],
  ] as const)('%s is none, and the failure is told', async ([, carried]) => {
    const { find, credential } = await startFailing(undefined, { isInMemory: false })
    await expect(find(credential, given.REALM, carried)).rejects.toThrow(OUTAGE)
  })

  test('an end that is heard of while the store is asked counts before what stands in', async () => {
    const answer = Promise.withResolvers<void>()
    const fail = () => answer.promise.then(given.outage)
    const { find, sessions, credential, timesAsked } = await startFailing(fail)
    const finding = find()
    await turn()
    sessions.revocations.note(given.sessionDigest(credential), 'operator')
    answer.resolve()
    await expect(finding).rejects.toThrow(OUTAGE)
    expect(timesAsked()).toBe(0)
  })

  describe.for([true, false])('with the session in memory: %s', (isInMemory) => {
    test('a wrong secret or another place gets nothing', async () => {
      const { find, credential } = await startFailing(undefined, { isInMemory })
      await expect(find(wrongly(credential))).rejects.toThrow(OUTAGE)
      await expect(find(credential, ELSEWHERE)).rejects.toThrow(OUTAGE)
    })

    test('a session that is known to have ended gets nothing, and the store is not asked', async () => {
      const started = await startFailing(undefined, { isInMemory })
      const { find, sessions, credential, calls, timesAsked } = started
      sessions.revocations.note(given.sessionDigest(credential), 'operator')
      expect([await find(), calls, timesAsked()]).toEqual([undefined, [], 0])
    })

    test('nobody goes on beyond the end of the session', async () => {
      const { find, elapse } = await startFailing(undefined, { isInMemory, maxAgeMs: 100_000 })
      elapse(99_999)
      expect(await find()).toBeDefined()
      elapse(1)
      await expect(find()).rejects.toThrow(OUTAGE)
    })

    test('the access token is in memory and not in what the browser carries', async () => {
      const { find } = await startFailing(undefined, {
        isInMemory,
        passedTokens: new Set(['access-token']),
      })
      const expected = isInMemory ? given.newSession.tokens.accessToken : undefined
      const standIn = await find()
      expect(standIn).toBeDefined()
      expect(standIn?.session.accessToken?.value).toBe(expected)
    })
  })

  test('after the grace neither memory nor the browser helps', async () => {
    using clock = holdMonotonicClock()
    const { find, elapse } = await startFailing()
    const pass = (ms: number) => (clock.elapse(ms), elapse(ms))
    pass(299_999)
    expect(await find()).toMatchObject({ source: 'l1' })
    pass(1)
    await expect(find()).rejects.toThrow(OUTAGE)
  })

  test('what stands in is not confirmed by it, and nothing is extended', async () => {
    using clock = holdMonotonicClock()
    const idling = { idleTimeoutMs: given.DAY_MS }
    const { find, credential, found, calls } = await startFailing(undefined, idling)
    clock.elapse(250_000)
    for (let count = 0; count < 3; count += 1)
      expect(await find()).toEqual({ session: found?.session, source: 'l1' })
    clock.elapse(50_000)
    await expect(find(credential, given.REALM, {})).rejects.toThrow(OUTAGE)
    expect(calls).toEqual([])
  })

  test('when it can be asked again, what it says counts', async () => {
    let answer: Store['read'] = async () => given.outage()
    const { find } = await startFailing((...asked) => answer(...asked))
    expect(await find()).toMatchObject({ source: 'l1' })
    answer = async () => ({})
    expect(await find()).toBeUndefined()
  })
})
