import { randomBytes } from 'node:crypto'
import { beforeAll, describe } from 'vitest'
import type { RecordPart } from '../../../src/store/store.ts'

export interface UnderTest<T> {
  readonly port: T
  readonly elapse: (ms: number) => Promise<void>
}

/** Parts that the tests of a contract use, made before they run. */
export interface Given<T> {
  readonly port: T
  /** Lets `ms` pass, by default more than `SHORT_MS`. */
  readonly elapse: (ms?: number) => Promise<void>
}

export type DescribeContract<T> = (implementation: string, make: () => UnderTest<T>) => void

/** Time to live that no test waits for, longer than a busy machine delays a test between two lines. */
export const SHORT_MS = 60_000
export const LONG_MS = 60 * SHORT_MS
/** Time to live that Redis, which takes whole milliseconds, has to round. */
export const FRACTION_MS = SHORT_MS + 0.56
export const PARTS: readonly RecordPart[] = ['identity', 'tokens', 'metadata']

/** Returns a contract: the same tests for each implementation of a port. */
export function describeContract<T>(
  title: string,
  declare: (given: Given<T>) => void,
): DescribeContract<T> {
  return (implementation, make) =>
    describe(`${implementation} as ${title}`, () => {
      let made: UnderTest<T>
      beforeAll(() => {
        made = make()
      })
      declare({
        get port() {
          return made.port
        },
        elapse: (ms = SHORT_MS + 50) => made.elapse(ms),
      })
    })
}

export function newDigest(): string {
  return randomBytes(32).toString('base64url')
}

export function newId(): string {
  return randomBytes(16).toString('base64url')
}

export function newRecords(bytes = 64): Record<RecordPart, Buffer> {
  const [identity, tokens, metadata] = [0, 1, 2].map((more) => randomBytes(bytes + more))
  return { identity, tokens, metadata } as Record<RecordPart, Buffer>
}
