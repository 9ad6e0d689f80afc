import { setTimeout as wait } from 'node:timers/promises'
import { DEEDS, prepare, type Stage } from './deeds.ts'
import { ruleOf } from './faults.ts'
import type { People } from './people.ts'
import type { Schedule } from './schedule.ts'
import type { Trouble } from './trouble.ts'

/** Carries out the faults, one after the other for each replica, for Redis and for the provider. */
export async function carryOutFaults(
  { faults, seconds }: Schedule,
  stage: Stage,
  trouble: Trouble,
  beganMs: number,
): Promise<void> {
  const lanes = Map.groupBy(faults, ({ kind, replica }) => `${ruleOf(kind).lane} ${replica}`)
  await Promise.all(
    [...lanes.values()].map(async (lane) => {
      for (const planned of lane) {
        await waitUntil(beganMs + planned.atMs)
        if (performance.now() > beganMs + seconds * 1000) return
        await prepare(stage, planned)
        const over = trouble.begin(planned.kind, planned.replica)
        const undo = await DEEDS[planned.kind](stage, planned)
        await wait(planned.forMs)
        await undo()
        over()
      }
    }),
  )
}

/** Carries out each person's deeds in sequence, late where the one before was slow, and none after the end. */
export async function carryOutEndings(
  { endings, seconds }: Schedule,
  people: People,
  beganMs: number,
): Promise<void> {
  const own = Map.groupBy(endings, ({ person }) => person)
  await Promise.all(
    [...own.values()].map(async (steps) => {
      for (const planned of steps) {
        await people.stay(planned.person, beganMs + planned.atMs)
        if (performance.now() > beganMs + seconds * 1000) return
        await people.carryOut(planned)
      }
    }),
  )
}

function waitUntil(atMs: number): Promise<void> {
  return wait(Math.max(0, atMs - performance.now()))
}
