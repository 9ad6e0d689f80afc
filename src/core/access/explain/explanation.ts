import type { RequiredTrace, RuleTrace } from './trace-rule.ts'

/** Answer to a question, as JSON. */
export interface Explanation extends UnderstoodQuestion, ExplainedAccess {}

/** Question as it is understood. */
export interface UnderstoodQuestion {
  readonly url: string
  readonly method: string
  /** Path and query that a browser sends instead, because it resolves dot segments and escapes more. */
  readonly browser?: string
  /** Person as the claims are read; absent where nobody is signed in. */
  readonly person?: ExplainedPerson
  /** Address as asked about. */
  readonly ip?: string
  /** Address that conditions compare; absent where it is unknown, as that of a trusted proxy is. */
  readonly client?: string
  readonly policy?: string
}

/** Answers of the check, and what decided them. */
export interface ExplainedAccess {
  /** Code of the error by which the request is refused whoever asks; no rule is consulted then. */
  readonly fault?: string
  /** Readings of the path as compared, each with the name of the rule that decides; what has none is denied. */
  readonly readings: readonly ExplainedReading[]
  /** True for a path with several readings, which no public or optional rule matches. */
  readonly ambiguous: boolean
  /** Rules that decide, all of which must be met. */
  readonly rules: readonly RuleTrace[]
  /** Conditions that the address of the middleware demands beside the rules. */
  readonly demand: readonly RequiredTrace[]
  /** Report rules that match, none of which decides. */
  readonly reports: readonly RuleTrace[]
  /** Status for a navigation. */
  readonly page: number
  /** Status for a request by a script. */
  readonly script: number
  readonly reasons: { readonly page: string; readonly script: string }
}

export interface ExplainedReading {
  readonly path: string
  readonly rule?: string
}

export interface ExplainedPerson {
  readonly user?: string
  readonly email?: string
  /** Absent where they are unknown. */
  readonly groups?: readonly string[]
  /** Claims that are missing or count for nothing, each with the reason. */
  readonly ignored: readonly string[]
}
