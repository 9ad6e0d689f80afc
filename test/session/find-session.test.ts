import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { OutageError } from '../../src/errors.ts'
import type { FindOptions } from '../../src/session/find-session.ts'
import type { Store } from '../../src/store/store.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'
import {
  away,
  DAY_MS,
  identity,
  newSession,
  outage,
  REALM,
  type StartedSessionsOptions,
  sessionDigest,
  startSessions,
} from '../support/started-sessions.ts'

const TIME: FindOptions = { timeoutMs: 250 }
const wrongly = (credential: SessionCredential) => ({ ...credential, secret: 's'.repeat(43) })
const heldBy = (credential: SessionCredential) => ({
  digest: sessionDigest(credential),
  credential,
  realm: REALM,
})

/** Reads of identities wait until they are let go, each by itself. */
const startWaiting = (changes: StartedSessionsOptions = {}) => {
  const waiting: PromiseWithResolvers<void>[] = []
  const timeouts: (number | undefined)[] = []
  let isWaiting = false
  const started = startSessions({
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
  return {
    ...started,
    waiting,
    timeouts,
    /** Everybody has to ask from now on, and to wait. */
    hold: () => {
      isWaiting = true
      started.sessionCache.clear()
      started.calls.length = 0
    },
    release: (at: number) => waiting[at]?.resolve(),
  }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('many who ask for the same session at once', () => {
  test.for([
    [true, 1],
    [false, 20],
  ] as const)(
    'where reads are shared (%s) 20 of them are %i reads',
    async ([canShareReads, reads]) => {
      const { sessions, open, calls } = startSessions({ canShareReads })
      const credential = await open()
      calls.length = 0
      const all = await Promise.all(
        Array.from({ length: 20 }, () => sessions.find(credential, REALM, TIME)),
      )
      expect(calls).toEqual(Array.from({ length: reads }, () => 'read identity'))
      for (const found of all)
        expect(found).toMatchObject({ session: { identity }, source: 'store' })
    },
  )

  test('what comes after the answer asks anew', async () => {
    const { sessions, open, calls } = startSessions({ canShareReads: true })
    const credential = await open()
    calls.length = 0
    for (let count = 0; count < 3; count += 1) await sessions.find(credential, REALM, TIME)
    expect(calls).toEqual(['read identity', 'read identity', 'read identity'])
  })

  test('each session is asked for by itself', async () => {
    const { sessions, open, calls } = startSessions({ canShareReads: true })
    const credentials = [await open(), await open()]
    calls.length = 0
    await Promise.all(credentials.map((each) => sessions.find(each, REALM, TIME)))
    expect(calls).toEqual(['read identity', 'read identity'])
  })

  test('a failure is the answer of all of them, and what comes after it asks anew', async () => {
    let reads = 0
    const { sessions, open } = startSessions({
      canShareReads: true,
      wrap: (store) => ({
        ...store,
        read: (digest, parts) =>
          reads++ === 0 ? Promise.reject(outageError()) : store.read(digest, parts),
      }),
    })
    const credential = await open()
    const all = Array.from({ length: 5 }, () => sessions.find(credential, REALM, TIME))
    const outcomes = await Promise.allSettled(all)
    expect(outcomes.map(({ status }) => status)).toEqual(all.map(() => 'rejected'))
    expect(reads).toBe(1)
    expect(await sessions.find(credential, REALM, TIME)).toMatchObject({ session: { identity } })
    expect(reads).toBe(2)
  })

  test('who asks after something was evicted does not join who asked before', async () => {
    const { sessions, sessionCache, open, calls, waiting, hold, release } = startWaiting()
    const credential = await open()
    hold()
    const first = sessions.find(credential, REALM, TIME)
    sessionCache.evict('another')
    const second = sessions.find(credential, REALM, TIME)
    await turn()
    expect(calls).toEqual(['read identity', 'read identity'])
    release(0)
    await first
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    const third = sessions.find(credential, REALM, TIME)
    await turn()
    expect(calls).toHaveLength(2)
    expect(waiting).toHaveLength(2)
    release(1)
    expect(await second).toMatchObject({ source: 'store' })
    expect(await third).toMatchObject({ source: 'store' })
    expect(sessions.recall(credential, REALM)).toMatchObject({ session: { identity } })
  })

  test('who joins has to hold the session all the same', async () => {
    const { sessions, open, calls, integrityFailures, hold, release } = startWaiting()
    const credential = await open()
    hold()
    const mine = sessions.find(credential, REALM, TIME)
    const theirs = sessions.find(wrongly(credential), REALM, TIME)
    const elsewhere = sessions.find(credential, 'wiki.example.com', TIME)
    await turn()
    expect(calls).toEqual(['read identity'])
    release(0)
    expect(await mine).toMatchObject({ session: { identity } })
    expect(await theirs).toBeUndefined()
    expect(await elsewhere).toBeUndefined()
    expect(integrityFailures).toHaveLength(2)
    expect(sessions.recall(wrongly(credential), REALM)).toBeUndefined()
    expect(sessions.recall(credential, REALM)).toBeDefined()
  })

  test('who joins a stranger’s read is found, and the stranger is not', async () => {
    const { sessions, open, calls, hold, release } = startWaiting()
    const credential = await open()
    hold()
    const theirs = sessions.find(wrongly(credential), REALM, TIME)
    const mine = sessions.find(credential, REALM, TIME)
    await turn()
    expect(calls).toEqual(['read identity'])
    release(0)
    expect(await theirs).toBeUndefined()
    expect(await mine).toMatchObject({ session: { identity } })
  })

  test('a check does not wait for the read of somebody with more time', async () => {
    const { sessions, open, timeouts, waiting, hold, release } = startWaiting()
    const credential = await open()
    hold()
    timeouts.length = 0
    const page = sessions.find(credential, REALM)
    const check = sessions.find(credential, REALM, TIME)
    await turn()
    expect(timeouts).toEqual([undefined, 250])
    expect(waiting).toHaveLength(2)
    release(1)
    expect(await check).toMatchObject({ session: { identity } })
    release(0)
    await page
  })

  test.for<[string, (started: ReturnType<typeof startSessions>, digest: string) => void]>([
    ['heard of', ({ sessions }, digest) => sessions.receiveEnded(digest)],
    ['known', ({ sessions }, digest) => sessions.revocations.note(digest)],
  ])('an end that is %s while the read is under way counts', async ([, end], { expect }) => {
    const started = startWaiting()
    const { sessions, open, hold, release } = started
    const credential = await open()
    hold()
    const all = [sessions.find(credential, REALM, TIME), sessions.find(credential, REALM, TIME)]
    await turn()
    end(started, sessionDigest(credential))
    release(0)
    expect(await Promise.all(all)).toEqual([undefined, undefined])
    expect(sessions.recall(credential, REALM)).toBeUndefined()
  })
})

describe('where every check has to ask', () => {
  test('nothing is looked for in memory, and the same bytes are not opened twice', async () => {
    const lookUps: string[] = []
    const { sessions, open, calls } = startSessions({
      l1: { canRecall: false, onLookUp: (result) => void lookUps.push(result) },
    })
    const credential = await open()
    calls.length = 0
    const first = await sessions.find(credential, REALM)
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    const second = await sessions.find(credential, REALM)
    expect(second?.session).toBe(first?.session)
    expect(calls).toEqual(['read identity', 'read identity'])
    expect(lookUps).toEqual([])
  })
})

const outageError = () => new OutageError('Redis: deadline', new Error('late'))

/** A session that was found once, its outage assertion, and a store that fails as told from then on. */
const startFailing = async (
  fail: Store['read'],
  { isInMemory = true, ...changes }: StartedSessionsOptions & { isInMemory?: boolean } = {},
) => {
  let isFailing = false
  const started = startSessions({
    wrap: (store) => ({
      ...store,
      read: (...asked) => (isFailing ? fail(...asked) : store.read(...asked)),
    }),
    ...changes,
  })
  const { sessions, assertions, sessionCache } = started
  const credential = await started.open()
  const found = await sessions.find(credential, REALM)
  const text = found && assertions.issue(found, heldBy(credential))
  if (!isInMemory) sessionCache.clear()
  isFailing = true
  started.calls.length = 0
  let asked = 0
  const presenting = (presented = text): FindOptions => ({
    standIn: {
      assertion: () => {
        asked += 1
        return presented
      },
    },
  })
  return { ...started, credential, found, presenting, timesAsked: () => asked }
}
const fails = async () => outage()
const OUTAGE = expect.any(OutageError) as OutageError

describe('while the store cannot be asked', () => {
  test('what is in memory stands in, before what the browser carries', async () => {
    const { sessions, credential, found, presenting, timesAsked } = await startFailing(fails)
    const standIn = await sessions.find(credential, REALM, presenting())
    expect(standIn).toMatchObject({ ...found, source: 'l1' })
    expect(standIn?.session).toBe(found?.session)
    expect(timesAsked()).toBe(0)
  })

  test('what the browser carries stands in where memory has nothing', async () => {
    const { sessions, credential, found, presenting, sessionCache } = await startFailing(fails, {
      isInMemory: false,
    })
    expect(await sessions.find(credential, REALM, presenting())).toEqual({
      session: found?.session,
      confirmedAtMs: Number.NEGATIVE_INFINITY,
      source: 'assertion',
    })
    expect(sessionCache.size).toBe(0)
    expect(sessions.recall(credential, REALM)).toBeUndefined()
  })

  test.for<[string, Store['read']]>([
    ['a plain failure', async () => away()],
    ['a failure that nobody foresaw', async () => Promise.reject(new TypeError('x is undefined'))],
  ])('%s is not an outage: nothing stands in', async ([, fail], { expect }) => {
    for (const isInMemory of [true, false]) {
      const { sessions, credential, presenting, timesAsked } = await startFailing(fail, {
        isInMemory,
      })
      const finding = sessions.find(credential, REALM, presenting())
      await expect(finding).rejects.toThrow(/^(?:away|x is undefined)$/)
      expect(timesAsked()).toBe(0)
    }
  })

  test.for<[string, Store['read']]>([
    ['a miss', async () => ({})],
    ['a record that does not open', async () => ({ s: Buffer.from('noise') })],
  ])('%s is an answer: nothing stands in', async ([, answer], { expect }) => {
    for (const isInMemory of [true, false]) {
      const { sessions, credential, presenting, timesAsked } = await startFailing(answer, {
        isInMemory,
      })
      expect(await sessions.find(credential, REALM, presenting())).toBeUndefined()
      expect(timesAsked()).toBe(0)
    }
  })

  test('without leave nothing stands in', async () => {
    const { sessions, credential } = await startFailing(fails)
    await expect(sessions.find(credential, REALM)).rejects.toThrow(OUTAGE)
    await expect(sessions.find(credential, REALM, TIME)).rejects.toThrow(OUTAGE)
  })

  test.for([
    ['no assertion', undefined],
    ['an empty one', ''],
    ['noise', 'v1.0.noise'],
  ] as const)('%s is none, and the failure is told', async ([, text], { expect }) => {
    const { sessions, credential } = await startFailing(fails, { isInMemory: false })
    const finding = sessions.find(credential, REALM, { standIn: { assertion: () => text } })
    await expect(finding).rejects.toThrow(OUTAGE)
  })

  test.for([true, false])(
    'a wrong secret or another place gets nothing (in memory: %s)',
    async (isInMemory, { expect }) => {
      const { sessions, credential, presenting } = await startFailing(fails, { isInMemory })
      const wrong = sessions.find(wrongly(credential), REALM, presenting())
      await expect(wrong).rejects.toThrow(OUTAGE)
      const elsewhere = sessions.find(credential, 'wiki.example.com', presenting())
      await expect(elsewhere).rejects.toThrow(OUTAGE)
    },
  )

  test.for([true, false])(
    'a session that is known to have ended gets nothing, and the store is not asked (in memory: %s)',
    async (isInMemory, { expect }) => {
      const { sessions, credential, presenting, calls, timesAsked } = await startFailing(fails, {
        isInMemory,
      })
      sessions.revocations.note(sessionDigest(credential))
      expect(await sessions.find(credential, REALM, presenting())).toBeUndefined()
      expect(calls).toEqual([])
      expect(timesAsked()).toBe(0)
    },
  )

  test('an end that is heard of while the store is asked counts before what stands in', async () => {
    const reached = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const { sessions, credential, presenting, timesAsked } = await startFailing(async () => {
      reached.resolve()
      await goOn.promise
      return outage()
    })
    const finding = sessions.find(credential, REALM, presenting())
    await reached.promise
    sessions.revocations.note(sessionDigest(credential))
    goOn.resolve()
    await expect(finding).rejects.toThrow(OUTAGE)
    expect(timesAsked()).toBe(0)
  })

  test.for([true, false])(
    'nobody goes on beyond the end of the session (in memory: %s)',
    async (isInMemory, { expect }) => {
      const { sessions, credential, presenting, elapse } = await startFailing(fails, {
        isInMemory,
        maxAgeMs: 100_000,
      })
      elapse(99_999)
      expect(await sessions.find(credential, REALM, presenting())).toBeDefined()
      elapse(1)
      await expect(sessions.find(credential, REALM, presenting())).rejects.toThrow(OUTAGE)
    },
  )

  test('after the grace neither memory nor the browser helps', async () => {
    using clock = holdMonotonicClock()
    const { sessions, credential, presenting, elapse } = await startFailing(fails)
    const pass = (ms: number) => {
      clock.elapse(ms)
      elapse(ms)
    }
    pass(299_999)
    const last = await sessions.find(credential, REALM, presenting())
    expect(last).toMatchObject({ source: 'l1' })
    pass(1)
    await expect(sessions.find(credential, REALM, presenting())).rejects.toThrow(OUTAGE)
  })

  test('what stands in is not confirmed by it, and nothing is extended', async () => {
    using clock = holdMonotonicClock()
    const { sessions, credential, found, presenting, calls } = await startFailing(fails, {
      idleTimeoutMs: DAY_MS,
    })
    clock.elapse(250_000)
    for (let count = 0; count < 3; count += 1) {
      const standIn = await sessions.find(credential, REALM, presenting())
      expect(standIn?.confirmedAtMs).toBe(found?.confirmedAtMs)
    }
    clock.elapse(50_000)
    const finding = sessions.find(credential, REALM, { standIn: { assertion: () => undefined } })
    await expect(finding).rejects.toThrow(OUTAGE)
    expect(calls).toEqual([])
  })

  test('the access token is in memory and not in what the browser carries', async () => {
    for (const isInMemory of [true, false]) {
      const { sessions, credential, presenting } = await startFailing(fails, {
        isInMemory,
        withAccessToken: true,
      })
      const standIn = await sessions.find(credential, REALM, presenting())
      const { accessToken } = newSession.tokens
      expect(standIn?.session.accessToken?.value).toBe(isInMemory ? accessToken : undefined)
    }
  })

  test('when it can be asked again, what it says counts', async () => {
    let answer: Store['read'] = fails
    const { sessions, credential, presenting } = await startFailing((...asked) => answer(...asked))
    expect(await sessions.find(credential, REALM, presenting())).toMatchObject({ source: 'l1' })
    answer = async () => ({})
    expect(await sessions.find(credential, REALM, presenting())).toBeUndefined()
  })
})
