import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createRenewalWorld, type ModelReplica } from '../support/renewal-world.ts'

// Node's promises of timers are not among what vitest puts on its clock.
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
    new Promise((resolve, reject) => {
      setTimeout(resolve, ms, value)
      signal?.addEventListener('abort', reject)
    }),
  setImmediate: () => new Promise((resolve) => setImmediate(resolve)),
}))

const CLOCKS = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const
beforeEach(() => void vi.useFakeTimers({ toFake: [...CLOCKS, 'performance', 'Date'] }))
afterEach(() => void vi.useRealTimers())

interface Schedule {
  readonly providerMs: number
  /** After the renewals began. */
  readonly lostAfterMs: number
  readonly awayMs: number
  readonly losesLocks: boolean
  /** How much later than the store each replica is back. */
  readonly returnsMs: readonly [number, number, number]
  /** When a new replica comes, counted from the return of the store. */
  readonly newcomerMs: number | undefined
}

/** Timers fire together at the end of a step, and what they cause happens before the next one. */
const STEP_MS = 50
const VISIT_EVERY_MS = 500
const PEOPLE = 4
/** Settled, and one more visit at each replica; a lock of somebody who lives is never taken. */
const AFTERWARDS_MS = 30_000

/** People visit every replica all the time, first of all at the moment at which it has the store back. */
async function live(schedule: Schedule) {
  const world = createRenewalWorld(() => schedule.providerMs)
  const replicas = schedule.returnsMs.map(() => world.addReplica())
  const all: ModelReplica[] = [...replicas]
  for (const replica of all) replica.connect()
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => world.signIn()))
  vi.advanceTimersByTime(world.dueAfterMs)

  const visitAll = (): void => {
    for (const replica of all) for (const held of people) replica.visit(held)
  }
  const backMs = schedule.lostAfterMs + schedule.awayMs
  const events = new Map<number, () => void>()
  const at = (ms: number, act: () => void): void => {
    const step = Math.round(ms / STEP_MS)
    const before = events.get(step)
    events.set(step, () => [before?.(), act()])
  }
  at(schedule.lostAfterMs, () => {
    for (const replica of replicas) replica.disconnect()
  })
  at(backMs, () => world.restartStore(schedule.losesLocks))
  for (const [index, laterMs] of schedule.returnsMs.entries()) {
    at(backMs + laterMs, () => replicas[index]?.connect())
  }
  const { newcomerMs } = schedule
  if (newcomerMs !== undefined) {
    at(backMs + newcomerMs, () => {
      const newcomer = world.addReplica()
      all.push(newcomer)
      newcomer.connect()
    })
  }
  const steps = (backMs + Math.max(...schedule.returnsMs) + AFTERWARDS_MS) / STEP_MS
  for (let step = 0; step < steps; step += 1) {
    events.get(step)?.()
    if (step % (VISIT_EVERY_MS / STEP_MS) === 0 || events.has(step)) visitAll()
    vi.advanceTimersByTime(STEP_MS)
    await turn()
  }
  return { world, people }
}

async function expectNobodySignedOut(schedule: Schedule): Promise<void> {
  const { world, people } = await live(schedule)
  expect([world.provider.refused, world.ended]).toEqual([0, []])
  expect(new Set(world.results)).toEqual(new Set(['refreshed']))
  const found = await Promise.all(people.map(world.read))
  // The renewals that were under way, and none beside them.
  expect(found.map((each) => each?.tokens.accessToken)).toEqual(
    people.map(() => expect.stringMatching(/^access-/) as string),
  )
}

test.for<[string, Partial<Schedule>]>([
  ['the seen case: away for 13 s', {}],
  ['away for 8 s, begun 4 s before', { lostAfterMs: 4000, awayMs: 8000, providerMs: 6000 }],
  ['away for 2 s, an answer after 6 s', { awayMs: 2000, providerMs: 6000 }],
  ['away for 2 s, and the locks are lost', { awayMs: 2000, providerMs: 6000, losesLocks: true }],
  [
    'an answer after 20 s, and the locks are lost',
    { providerMs: 20_000, losesLocks: true, awayMs: 2000 },
  ],
  ['away for two minutes', { awayMs: 120_000 }],
  ['the owner’s wire is cut for much longer', { awayMs: 100, returnsMs: [50_000, 0, 0] }],
  ['one replica is new', { newcomerMs: 0, losesLocks: true, returnsMs: [3000, 3000, 3000] }],
])('C65: %s: nobody is signed out, and the provider refuses nothing', ([, changes]) =>
  expectNobodySignedOut({
    providerMs: 2500,
    lostAfterMs: 1000,
    awayMs: 13_000,
    losesLocks: false,
    returnsMs: [1000, 0, 2000],
    newcomerMs: undefined,
    ...changes,
  }),
)

test('C65: whatever the provider’s speed, and however the replicas come back', {
  timeout: 300_000,
}, async () => {
  const returnMs = fc.integer({ min: 0, max: 3000 })
  const schedules: fc.Arbitrary<Schedule> = fc.record({
    providerMs: fc.constantFrom(200, 2500, 6000, 12_000),
    lostAfterMs: fc.integer({ min: 0, max: 6500 }),
    awayMs: fc.constantFrom(100, 2000, 8000, 13_000, 40_000),
    losesLocks: fc.boolean(),
    returnsMs: fc.tuple(returnMs, returnMs, returnMs),
    newcomerMs: fc.option(fc.integer({ min: 0, max: 5000 }), { nil: undefined }),
  })
  await fc.assert(fc.asyncProperty(schedules, expectNobodySignedOut), { numRuns: 15, seed: 65 })
})
