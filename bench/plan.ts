import type { LoadGenerator } from './load/load.ts'

/** Extent of a run. */
export interface Plan {
  /** Repetitions with fresh processes, since two processes of the same code may differ by a quarter. */
  readonly laps: number
  /** Measurements of each contestant within a lap, in turns. */
  readonly rounds: number
  readonly seconds: number
  readonly generator: LoadGenerator
  /** Length of the load before the first round, until the compiler has done its work. */
  readonly warmUpSeconds: number
  /** Tells what is being measured. */
  readonly say: (text: string) => void
}

/** Returns the members in an order that begins with another one each round, so that none always follows the same. */
export function rotated<Member>(members: readonly Member[], round: number): readonly Member[] {
  const first = round % members.length
  return [...members.slice(first), ...members.slice(0, first)]
}

/** Runs `measure` for every contestant in turns and returns its results by name. */
export async function inTurns<Contestant extends { readonly name: string }, Result>(
  contestants: readonly Contestant[],
  rounds: number,
  measure: (contestant: Contestant) => Promise<Result>,
): Promise<ReadonlyMap<string, Result[]>> {
  const results = new Map<string, Result[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contestant of rotated(contestants, round)) {
      results.get(contestant.name)?.push(await measure(contestant))
    }
  }
  return results
}
