import { expect, test } from 'vitest'
import { prepared } from '../prepared.ts'
import { describeWithRedis } from '../replicas.ts'
import { expectModelled } from './ask-model.ts'
import { startModelledReplicas } from './worlds.ts'

/** Replica, number of its tests, and requests of each. */
type Row = readonly [
  kind: 'memory' | 'redis' | 'hybrid' | 'domain' | 'untrusted' | 'http2' | 'outage',
  tests: number,
  count: number,
]

/** Replicas that are asked one odd thing at a time too: one for each way to a session. */
const SIMPLE: ReadonlySet<string> = new Set(['redis', 'hybrid', 'http2', 'outage'])

/** Limits a test that hangs; a busy machine needs minutes. */
const PATIENCE_MS = 900_000

/** Describes that replicas of every kind answer generated requests as the model says. */
export function describeModelled(rows: readonly Row[]): void {
  describeWithRedis('C64 the check answers as a plain model of the contract', () => {
    const modelled = prepared(startModelledReplicas)
    const samples = rows.flatMap(([kind, tests, count], row) =>
      Array.from({ length: tests }, (_, at) => {
        const asksSimple = at === 0 && SIMPLE.has(kind)
        return { kind, count, seed: 100 * row + at, asksSimple }
      }),
    )

    test.for(samples)(
      'the replica "$kind" answers $count odd requests of seed $seed as the model says, twice',
      { timeout: PATIENCE_MS },
      async ({ kind, ...sample }) => {
        const found = await modelled()[kind]()
        expect(found.world.sessions.size).toBeGreaterThan(0)
        await expectModelled(found, sample)
      },
    )
  })
}
