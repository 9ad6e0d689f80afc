import { cookieHeader } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit, Visitor } from './visitor.ts'

/** Asks the check about a page of the app with the cookies of this browser. */
export function checkAs({ check }: RunningVestibule, browser: Visitor): Promise<Visit> {
  return check({}, { Cookie: cookieHeader(browser) })
}

/** The user that the check names for this browser; `undefined` unless it passes. */
export async function userOf(vestibule: RunningVestibule, browser: Visitor): Promise<unknown> {
  const { status, headers } = await checkAs(vestibule, browser)
  return status === 200 ? headers['x-auth-request-user'] : undefined
}
