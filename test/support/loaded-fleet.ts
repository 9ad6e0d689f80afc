import type { RedisTarget } from '../../src/redis/target.ts'
import {
  describeSeen,
  expectUnnoticed,
  type FleetLoad,
  type Person,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from './fleet-load.ts'
import { settingsFor } from './redis-settings.ts'
import { until } from './redis-state.ts'
import { type Replicas, startReplicas } from './replicas.ts'

/** Replicas over a Redis that something happens to, and people who go on using them meanwhile. */
export interface LoadedFleet extends AsyncDisposable {
  readonly fleet: Replicas
  readonly people: readonly Person[]
  readonly load: FleetLoad
  /** Waits until people can sign in again, prints how long that took and what users saw: nothing. */
  readonly expectUnnoticed: (what: string, sinceMs: number) => Promise<void>
}

const USERS = Array.from({ length: 10 }, (_, at) => `user-${at}`)
/** Their sessions lie in any part of a cluster. */
const LATER_USERS = Array.from({ length: 8 }, (_, at) => `later-${at}`)
const REPLICAS = 4
const BACK_WITHIN_MS = 90_000

export async function startLoadedFleet(target: RedisTarget): Promise<LoadedFleet> {
  const fleet = await startReplicas({
    count: REPLICAS,
    settings: { ...settingsFor(target), REDIS_CACHE_MODE: 'hybrid' },
    provider: { users: [...USERS, ...LATER_USERS].map((sub) => ({ sub })) },
  })
  try {
    await untilWhole(fleet.all)
    const people = await signInPeople(fleet, USERS)
    const load = await startFleetLoad(fleet.all, people)
    await load.warm()
    await load.more(100)
    return {
      fleet,
      people,
      load,
      async expectUnnoticed(what, sinceMs) {
        const canSignIn = () =>
          signInPeople(fleet, LATER_USERS).then(
            () => true,
            () => false,
          )
        await until('a sign-in', canSignIn, BACK_WITHIN_MS)
        const backMs = performance.now() - sinceMs
        await untilWhole(fleet.all)
        await load.more(100)
        const seen = await load.stop()
        process.stdout.write(
          `${what}: people can sign in after ${backMs.toFixed(0)} ms; ${describeSeen(seen)}\n`,
        )
        expectUnnoticed(seen)
      },
      [Symbol.asyncDispose]: async () => {
        await load.stop()
        await fleet[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await fleet[Symbol.asyncDispose]()
    throw error
  }
}
