import type { Explanation } from '../../core/access/explain/explanation.ts'

export const EXPECTATIONS = ['allow', 'deny', 'sign-in'] as const

/** Answer to a page that a caller expects. */
export type Expectation = (typeof EXPECTATIONS)[number]

/** Returns the kind of the answer to a page; every answer that neither allows nor leads to the sign-in denies. */
export function outcomeOf({ page }: Explanation): Expectation {
  if (page === 200) return 'allow'
  return page === 302 || page === 303 ? 'sign-in' : 'deny'
}
