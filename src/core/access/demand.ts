import type { Condition, RequiredCondition } from './condition.ts'

/** Conditions that the address of the middleware demands beside the rules (`/auth?policy=…&groups=…`). */
export interface Demand {
  readonly conditions: readonly RequiredCondition[]
}

/**
 * Reads the query of a check's own address; `undefined` where it has none. Throws `AuthError` `invalid_request` for a
 * parameter that is unknown, empty or there twice, and `unknown_policy`.
 */
export type ReadDemand = (url: string | undefined) => Demand | undefined

export function createDemandReader(_policies: ReadonlyMap<string, Condition>): ReadDemand {
  return () => undefined
}
