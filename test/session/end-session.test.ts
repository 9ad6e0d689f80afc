import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import type { Sessions } from '../../src/session/sessions.ts'
import * as given from '../support/started-sessions.ts'

const OTHER_REALM = 'other.example.com'
const ADDRESS = '203.0.113.7'
/** Steps of ending a session and another of the same provider session, with the commands spared before the fault. */
const STEPS: readonly (readonly [given.Step, number])[] = [
  ['read', 0],
  ['end', 0],
  ['list', 0],
  ['end', 1],
]

function owned(providerSession: string) {
  return { metadata: { ...given.newSession.metadata, owners: { user: 'user-1', providerSession } } }
}

async function start() {
  const started = given.startSessions({ canShareReads: true })
  const { sessions, calls } = started
  return {
    ...started,
    credential: await started.open(),
    lose: (step: given.Step = 'read', fail = given.outage, spared = 0) => {
      started.break(step, fail, spared)
      calls.length = 0
    },
    waiting: () => sessions.revocations.waiting,
    flush: () => sessions.revocations.flush(),
    isRecalled: (each: SessionCredential) => sessions.recall(each, given.REALM) !== undefined,
    isFound: async (each: SessionCredential, realm = given.REALM) =>
      (await sessions.find(each, realm)) !== undefined,
  }
}

async function found({ credential, isRecalled, isFound }: Awaited<ReturnType<typeof start>>) {
  return [isRecalled(credential), await isFound(credential)]
}

describe('an end whose answer is lost', () => {
  test.for<[string, (sessions: Sessions, digest: string) => Promise<unknown>]>([
    ['of one session', (sessions, digest) => sessions.end(digest, 'operator')],
    [
      'of a user',
      (sessions) => sessions.endAllOf({ kind: 'user', id: 'user-1' }, { reason: 'operator' }),
    ],
    ['of everybody', (sessions) => sessions.endAll({ reason: 'operator' })],
  ])('F02: %s may have been applied, so the session is refused here', async ([, end]) => {
    const { sessions, credential, lose, waiting } = await start()
    lose('end')
    const digest = given.sessionDigest(credential)
    await expect(end(sessions, digest)).rejects.toThrow(given.STORE_AWAY)
    expect(sessions.revocations.has(digest)).toBe(true)
    // Defers the end nevertheless where that is asked for.
    sessions.deferEnd(digest, 'operator')
    expect(waiting()).toBe(1)
  })
})

describe('ending together during a store outage', () => {
  test.for(STEPS)('lost at %s %i: ends here now and elsewhere later', async ([step, spared]) => {
    const started = await start()
    const { credential, sessions, announced, flushed, calls, lose, waiting } = started
    const another = await started.open(owned('sid-2'))
    await started.open({ realm: OTHER_REALM })
    lose(step, given.outage, spared)
    expect(await sessions.endTogether(credential)).toBe('pending')
    expect([waiting(), announced]).toEqual([1, [given.sessionDigest(credential)]])
    expect(started.isRecalled(credential)).toBe(false)
    calls.length = 0
    const assertion = () => expect.unreachable('a session that has ended needs no assertion')
    expect(await sessions.find(credential, given.REALM, { standIn: { assertion } })).toBeUndefined()
    expect(calls).toEqual([])
    started.mend()
    expect(await started.isFound(credential), 'before the flush').toBe(false)
    await started.flush()
    expect([waiting(), flushed]).toEqual([0, [1]])
    expect([await started.sealed(credential), await started.isFound(another)]).toEqual([{}, true])
  })

  test.for(STEPS)('lost at %s %i: the other sessions end later too', async ([step, spared]) => {
    const started = await start()
    const there = await started.open({ realm: OTHER_REALM })
    started.lose(step, given.outage, spared)
    expect(await started.sessions.endTogether(started.credential)).toBe('pending')
    // From now on the first of these commands fails.
    started.break(step)
    await started.flush()
    expect(started.waiting()).toBe(1)
    started.mend()
    await started.flush()
    expect(await started.isFound(there, OTHER_REALM)).toBe(false)
    expect(await started.sealed(there)).toEqual({})
  })

  test('a deferred end asks nobody during the outage', async () => {
    const started = await start()
    const { credential, calls } = started
    started.lose()
    expect(started.sessions.deferEndTogether(credential)).toBe('pending')
    expect([calls, started.announced]).toEqual([[], [given.sessionDigest(credential)]])
    expect(await found(started)).toEqual([false, false])
    started.mend()
    await started.flush()
    expect(calls).toContain(`end ${given.DAY_MS}`)
  })

  test('an unverified end counts here, and everywhere once it is verified', async () => {
    const started = await start()
    const { credential, sessions, waiting, flushed } = started
    const there = await started.open({ realm: OTHER_REALM })
    started.lose()
    expect(started.sessions.deferUnverifiedEnd(credential, given.REALM, ADDRESS)).toBe('pending')
    expect([started.calls, started.announced]).toEqual([[], []])
    expect(await found(started)).toEqual([false, false])
    await started.flush()
    expect([waiting(), flushed]).toEqual([1, []])
    started.mend()
    await started.flush()
    expect([waiting(), flushed, await started.sealed(credential)]).toEqual([0, [1], {}])
    expect(await started.isFound(there, OTHER_REALM)).toBe(false)
    expect(sessions.revocations.has(given.sessionDigest(credential))).toBe(true)
  })

  const NOBODY = { id: 'y'.repeat(43), secret: 'y'.repeat(43) }
  test.for<[string, (own: SessionCredential) => SessionCredential, string]>([
    ['another secret', (own) => ({ ...own, secret: 'x'.repeat(43) }), given.REALM],
    ['another realm', (own) => own, OTHER_REALM],
    ['the id of no session', () => NOBODY, given.REALM],
  ])('an unverified end with %s ends nothing', async ([, change, realm]) => {
    const { credential, lose, mend, flush, waiting, calls, isFound, ...started } = await start()
    lose()
    started.sessions.deferUnverifiedEnd(change(credential), realm, ADDRESS)
    mend()
    await flush()
    expect([waiting(), calls.filter((call) => call.startsWith('end'))]).toEqual([0, []])
    expect(await isFound(credential)).toBe(true)
  })

  test('above the bound it rejects, and the session goes on', async () => {
    const { credential, lose, mend, waiting, isFound, ...started } = await start()
    for (let index = 0; index < 10_000; index += 1)
      started.sessions.deferEnd(`d${index}`, 'operator')
    lose()
    await expect(started.sessions.endTogether(credential)).rejects.toThrow(given.STORE_AWAY)
    expect(() => started.sessions.deferEndTogether(credential)).toThrow(given.STORE_AWAY)
    mend()
    expect([await isFound(credential), waiting()]).toEqual([true, 10_000])
  })
})

describe('ending together where the store refuses', () => {
  function fault(): never {
    throw new TypeError('x is undefined')
  }
  test.for(
    STEPS.flatMap(([step, spared]) => [
      ['a failure', step, spared, given.away, /^away$/] as const,
      ['a fault', step, spared, fault, /^x is undefined$/] as const,
    ]),
  )('%s at %s %i rejects and is not deferred', async ([, step, spared, fail, message]) => {
    const { credential, sessions, announced, open, lose, waiting, isRecalled } = await start()
    await open({ realm: OTHER_REALM })
    lose(step, fail, spared)
    await expect(sessions.endTogether(credential)).rejects.toThrow(message)
    expect([waiting(), announced, isRecalled(credential)]).toEqual([0, [], false])
  })

  test('an end that was applied is done', async () => {
    const { credential, sessions, announced, waiting } = await start()
    expect(await sessions.endTogether(credential)).toBe('done')
    expect([waiting(), announced]).toEqual([0, []])
    expect(sessions.revocations.has(given.sessionDigest(credential))).toBe(true)
  })
})

describe('ending one session', () => {
  test.for([
    ['an outage', 'read', given.outage, true],
    ['an outage', 'end', given.outage, false],
    ['another failure', 'read', given.away, true],
    ['another failure', 'end', given.away, true],
  ] as const)('%s at its %s is never deferred', async ([, step, fail, isFoundAfter]) => {
    const { credential, sessions, announced, lose, mend, waiting, ...look } = await start()
    lose(step, fail)
    await expect(sessions.end(given.sessionDigest(credential), 'operator')).rejects.toThrow(
      given.STORE_AWAY,
    )
    expect([waiting(), announced, look.isRecalled(credential)]).toEqual([0, [], step === 'read'])
    mend()
    // An outage at the end may have come after the command.
    expect(await look.isFound(credential)).toBe(isFoundAfter)
  })

  test('an end by another replica counts here, whatever the store says', async () => {
    const started = await start()
    expect(await found(started)).toEqual([true, true])
    started.sessions.receiveEnded(given.sessionDigest(started.credential), 'operator')
    started.calls.length = 0
    expect(await found(started)).toEqual([false, false])
    expect([started.calls, started.waiting()]).toEqual([[], 0])
  })

  test('known ends are repeated for a store that has come back with old data', async () => {
    const { credential, sessions, calls, open, sealed, isFound } = await start()
    const [heard, other] = [await open(), await open(owned('sid-2'))]
    await sessions.end(given.sessionDigest(credential), 'operator')
    sessions.receiveEnded(given.sessionDigest(heard), 'operator')
    calls.length = 0
    await sessions.revocations.repeat()
    expect([calls, await sealed(heard)]).toEqual([
      [`end ${given.DAY_MS}`, `end ${given.DAY_MS}`],
      {},
    ])
    expect(await isFound(other)).toBe(true)
  })
})
