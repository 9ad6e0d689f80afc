import { expect } from 'vitest'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit } from './visitor.ts'

/** Asserts a refusal of the check that is no redirect: not to be stored, no cookie, none of the hostile texts. */
export const expectRefusal = (
  visit: Visit,
  status: 400 | 401 | 403 | 405,
  hostile: readonly string[] = [],
): void => {
  expectNoEffect(visit, status)
  expect(visit.location).toBeUndefined()
  expectNothingOf(visit, hostile)
}

/** Asserts that the check asks for a sign-in, with the target that the visitor had. */
export const expectLogin = (
  visit: Visit,
  target: string,
  hostile: readonly string[] = [],
  status: 302 | 303 = 302,
): void => {
  expectNoEffect(visit, status)
  const { origin } = new URL(target)
  expect(visit.headers.location).toBe(
    `${origin}/oauth2/login?${new URLSearchParams({ rd: target }).toString()}`,
  )
  expectNothingOf(visit, hostile)
}

/** The body by which a script learns where its user signs in to come back to this page. */
export function loginRequired(target: string): { error: string; login_url: string } {
  const query = new URLSearchParams({ rd: target }).toString()
  return { error: 'login_required', login_url: `https://app.example.com/oauth2/login?${query}` }
}

/** The value of one of Vestibule's own counters, all labels together. */
export const readCounter = async (vestibule: RunningVestibule, name: string): Promise<number> => {
  const { body } = await vestibule.internal('/metrics')
  const lines = body.split('\n').filter((line) => line.startsWith(`vestibule_${name}_total`))
  if (lines.length === 0) throw new Error(`no counter vestibule_${name}_total`)
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

const expectNoEffect = ({ status, headers, setCookies }: Visit, expected: number): void => {
  expect({ status, ...headers }).toMatchObject({
    status: expected,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    vary: 'Cookie, Authorization',
  })
  expect(setCookies).toEqual([])
}

const expectNothingOf = ({ rawHeaders, body }: Visit, hostile: readonly string[]): void => {
  const answer = `${rawHeaders.join('\n')}\n${body}`.toLowerCase()
  for (const text of hostile) {
    expect(answer.includes(text.toLowerCase()), `${text} is in the answer`).toBe(false)
  }
}
