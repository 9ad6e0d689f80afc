import { expect } from 'vitest'
import { OUTAGE_COOKIE } from './outage.ts'
import type { RunningVestibule } from './vestibule.ts'

const AT_ONCE = 5

/** Asserts that `bob`, to whom nothing was done, is let in as himself and keeps his cookies. */
export const expectBystanderServed = async (
  { check }: RunningVestibule,
  Cookie: string,
): Promise<void> => {
  const visits = await Promise.all(Array.from({ length: AT_ONCE }, () => check({}, { Cookie })))
  for (const { status, headers, setCookies } of visits) {
    expect([status, headers['x-auth-request-user']]).toEqual([200, 'bob'])
    expect(setCookies.filter((line) => !line.startsWith(`${OUTAGE_COOKIE}=`))).toEqual([])
  }
}
