import { expect } from 'vitest'
import type { RunningVestibule } from './vestibule.ts'

/** Returns the status that a replica gives to a page request with this cookie. */
export async function statusAt(replica: RunningVestibule, cookie?: string): Promise<number> {
  return (await replica.check({}, { Cookie: cookie })).status
}

/** Returns the status at each replica. */
export function statusesAt(all: readonly RunningVestibule[], cookie?: string): Promise<number[]> {
  return Promise.all(all.map((replica) => statusAt(replica, cookie)))
}

/** Asserts that each of these replicas answers a page request with each of these cookies with this status. */
export async function expectStatus(
  status: number,
  at: RunningVestibule | readonly RunningVestibule[],
  ...cookies: readonly (string | undefined)[]
): Promise<void> {
  const all = 'check' in at ? [at] : at
  for (const cookie of cookies) {
    expect(await statusesAt(all, cookie)).toEqual(all.map(() => status))
  }
}
