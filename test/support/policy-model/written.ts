/** Condition as an operator writes it (design.md section 4, docs/rules.md). */
export interface WrittenCondition {
  readonly groups?: readonly string[]
  readonly emails?: readonly string[]
  readonly emailDomains?: readonly string[]
  readonly users?: readonly string[]
  readonly networks?: readonly string[]
  readonly claims?: Readonly<Record<string, readonly (string | number | boolean)[]>>
  readonly all?: readonly WrittenCondition[]
  readonly any?: readonly WrittenCondition[]
  readonly none?: readonly WrittenCondition[]
}

/** Lists of which one match is enough. */
export type WrittenLists = Pick<WrittenCondition, 'groups' | 'emails' | 'emailDomains'>

/** Rule as an operator writes it. */
export interface WrittenRule extends WrittenLists {
  readonly name?: string
  readonly hosts?: readonly string[]
  readonly paths?: readonly string[]
  readonly methods?: readonly string[]
  readonly access: 'public' | 'optional' | 'signed-in' | 'deny'
  readonly allow?: WrittenCondition
  readonly policy?: string
  readonly report?: true
  readonly preflight?: 'pass'
  readonly degraded?: 'deny'
}

/** Settings file as an operator writes it. */
export interface WrittenFile {
  readonly rules: readonly WrittenRule[]
  readonly policies?: Readonly<Record<string, WrittenCondition>>
  readonly publicPaths?: readonly string[]
  readonly allowedGroups?: readonly string[]
  readonly allowedEmails?: readonly string[]
  readonly allowedEmailDomains?: readonly string[]
  readonly trustedProxies?: readonly string[]
  readonly oidc?: {
    readonly groupsClaim?: string
    readonly groupsSeparator?: string
    readonly emailClaim?: string
    readonly trustEmail?: boolean
  }
}

/** JSON that a provider says about a person. */
export type SentClaims = Readonly<Record<string, unknown>>

/** Request that comes to the check. */
export interface SentCheck {
  /** Query of the middleware's address, without its question mark. */
  readonly query: string
  readonly kind: 'page' | 'form' | 'script' | 'preflight'
  readonly method: string
  readonly host: string
  readonly path: string
  /** Readings of the path, known by how it was made; `undefined` where it hides a dot segment. */
  readonly readings: readonly string[] | undefined
  readonly forwardedFor?: string
}

/** Status of an answer, and whether it names the user. */
export interface PolicyAnswer {
  readonly status: 200 | 302 | 303 | 400 | 401 | 403
  readonly isNamed: boolean
}
