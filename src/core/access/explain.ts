import { AuthError, invalidRequest, STATUS } from '../../errors.ts'
import { answerStatus } from '../answer-status.ts'
import { decide, type Evidence, needsEvidence, type Verdict } from '../decision.ts'
import { type ForwardedRequest, parseForwardedRequest } from '../forwarded-request.ts'
import { areGroupsKnown, type Identity } from '../identity.ts'
import { isUnder, readPath } from '../path-readings.ts'
import { type IdentityOptions, ignoredClaims, toIdentity } from '../read-identity.ts'
import { classify, type RequestClass } from '../request-class.ts'
import { scanHeaders } from '../sent-headers.ts'
import type { Sites } from '../site.ts'
import type { Access } from './access-rule.ts'
import type { Requester } from './condition.ts'
import type { Demand } from './demand.ts'
import {
  type ExplainedCondition,
  type ExplainedRequest,
  type ExplainedRule,
  explainConditions,
  explainRule,
} from './explained-rule.ts'
import { type AskedUrl, claimsOf, type Question, splitUrl } from './question.ts'
import type { LiveRules, Rules } from './rule-set.ts'

export interface ExplainOptions {
  readonly rules: LiveRules
  readonly protectedSites: Sites
  readonly basePath: string
  readonly identity: IdentityOptions
  /** Issuer of the people asked about. */
  readonly issuer: string
  /** Returns the client's address by an entry of `X-Forwarded-For`; `undefined` for a trusted proxy. */
  readonly clientAddress: (forwardedFor: string) => string | undefined
}

/** Answer to a question, as JSON. */
export interface Explanation {
  readonly url: string
  readonly method: string
  /** Path and query that a browser would send instead, because it resolves dot segments and escapes more. */
  readonly browser?: string
  /** Person as the claims are read; absent where nobody is signed in. */
  readonly person?: ExplainedPerson
  /** Address of the client; absent where it is unknown. */
  readonly client?: string
  readonly policy?: string
  /** Code of the error for which the request is refused whoever asks; no rule is consulted then. */
  readonly fault?: string
  /** Compared readings of the path, each with the name of the rule that decides; without one, the request is denied. */
  readonly readings: readonly ExplainedReading[]
  /** True for a path with several readings, which no public or optional rule matches. */
  readonly ambiguous: boolean
  /** Rules that decide, all of which are needed. */
  readonly rules: readonly ExplainedRule[]
  /** Conditions that the address of the middleware demands beside the rules. */
  readonly demand: readonly ExplainedCondition[]
  /** Report rules that match, none of which decides. */
  readonly reports: readonly ExplainedRule[]
  /** Status of the check for a navigation. */
  readonly page: number
  /** Status of the check for a request by a script. */
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
  /** Claims that say nothing, each with the reason. */
  readonly ignored: readonly string[]
}

/** Explains what the check answers. Throws `AuthError` `invalid_request` for a question that is none. */
export type Explain = (question: Question) => Explanation

const HEADERS = {
  page: ['Accept', 'text/html', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document'],
  script: ['Accept', '*/*', 'Sec-Fetch-Mode', 'cors', 'Sec-Fetch-Dest', 'empty'],
} as const

/** Headers of a script's request by `OPTIONS`, which a browser sends as a preflight only. */
const PREFLIGHT = ['Access-Control-Request-Method', 'GET'] as const

type Sender = keyof typeof HEADERS

/** Person of whom nothing is known, for whom conditions are explained where nobody is signed in. */
const NOBODY: Identity = { issuer: '', subject: '', groups: [], claims: {} }

/** Creates the function that asks the parts of the check what they do with a request, without sending one. */
export function createExplain(options: ExplainOptions): Explain {
  const { protectedSites, basePath, issuer } = options

  function read(rules: Rules, question: Question, asked: AskedUrl): Read {
    try {
      const query = question.policy === undefined ? '' : `?policy=${encodeURIComponent(question.policy)}`
      const demand = rules.readDemand(`/auth${query}`)
      const request = parseForwardedRequest(headersOf(question, asked, 'page'), protectedSites)
      if (isUnder(basePath, request.readings.all)) throw SIGN_IN_ROUTER
      return { request, demand, access: rules.findAccess(request, demand) }
    } catch (error) {
      if (error instanceof AuthError) return { error }
      throw error
    }
  }
}
