import { AuthError, invalidRequest, STATUS } from '../../../errors.ts'
import type { Claims } from '../../claims.ts'
import type { Evidence } from '../../decision.ts'
import { parseForwardedRequest } from '../../forwarded-request.ts'
import { areGroupsKnown, type Identity } from '../../identity.ts'
import { isUnder, readPath } from '../../path-readings.ts'
import { type IdentityOptions, ignoredClaims, toIdentity } from '../../read-identity.ts'
import type { Sites } from '../../site.ts'
import type { LiveRules, Rules } from '../rule-set.ts'
import { headersOf } from './asked-headers.ts'
import { type AskedQuestion, type Consulted, explainAccess } from './explain-access.ts'
import type {
  ExplainedAccess,
  ExplainedPerson,
  Explanation,
  UnderstoodQuestion,
} from './explanation.ts'
import { type AskedUrl, claimsOf, type Question, splitUrl, URL_FORM } from './question.ts'

export interface ExplainOptions {
  readonly rules: LiveRules
  readonly protectedSites: Sites
  readonly basePath: string
  readonly identity: IdentityOptions
  /** Issuer of the people asked about. */
  readonly issuer: string
  /** Returns the client's address for an entry of `X-Forwarded-For`; `undefined` for a trusted proxy's. */
  readonly clientAddress: (forwardedFor: string) => string | undefined
}

/** Explains what the check answers. Throws `AuthError` `invalid_request` where `url` has another form. */
export type Explain = (question: Question) => Explanation

/** Creates the function that puts a question to the parts of the check, so that it cannot differ from them. */
export function createExplain(options: ExplainOptions): Explain {
  const { protectedSites, basePath, issuer } = options

  /** Reads the request and finds its access in the order of the check, which throws the first fault. */
  function consult(rules: Rules, asked: AskedQuestion): Consulted {
    const demand = rules.readDemand(checkAddress(asked.question))
    const request = parseForwardedRequest(headersOf(asked, 'page'), protectedSites)
    if (isUnder(basePath, request.readings.all)) {
      throw new AuthError(
        'sign_in_router',
        'the path lies under BASE_PATH, which is for the sign-in',
      )
    }
    return { rules, demand, request, access: rules.findAccess(request, demand) }
  }

  return (question) => {
    const url = splitUrl(question.url)
    if (!url) throw invalidRequest(`The url ${URL_FORM}.`)
    const claims = claimsOf(question, issuer, options.identity)
    const identity = toIdentity(claims ?? {}, options.identity)
    const address = question.ip === undefined ? undefined : options.clientAddress(question.ip)
    const asked: AskedQuestion = {
      question,
      url,
      requester: { identity, address },
      evidence: claims ? sessionOf(identity) : { kind: 'none' },
    }
    const about = {
      ...describe(asked),
      ...(claims && { person: describePerson(identity, claims, options.identity) }),
    }
    try {
      return { ...about, ...explainAccess(consult(options.rules.current, asked), asked) }
    } catch (error) {
      if (!(error instanceof AuthError)) throw error
      return { ...about, ...explainFault(error, url) }
    }
  }
}

function checkAddress({ policy }: Question): string {
  return policy === undefined
    ? '/auth'
    : `/auth?policy=${encodeURIComponent(policy.toWellFormed())}`
}

function sessionOf(identity: Identity): Evidence {
  return { kind: 'session', session: { identity, createdAt: 0, expiresAt: Infinity } }
}

function describe({ question, url, requester: { address } }: AskedQuestion): UnderstoodQuestion {
  const { method = 'GET', ip, policy } = question
  return {
    url: question.url,
    method,
    ...(url.browserUri !== undefined && { browser: url.browserUri }),
    ...(ip !== undefined && { ip }),
    ...(address !== undefined && { client: address }),
    ...(policy !== undefined && { policy }),
  }
}

function describePerson(
  identity: Identity,
  claims: Claims,
  options: IdentityOptions,
): ExplainedPerson {
  const { subject, email, groups } = identity
  return {
    ...(subject !== '' && { user: subject }),
    ...(email !== undefined && { email }),
    ...(areGroupsKnown(identity) && { groups }),
    ignored: ignoredClaims(claims, options),
  }
}

function explainFault({ code, message }: AuthError, { uri }: AskedUrl): ExplainedAccess {
  const { all } = readPath(uri.replace(/\?.*$/s, ''))
  return {
    fault: code,
    readings: all.map((path) => ({ path })),
    ambiguous: all.length > 1,
    rules: [],
    demand: [],
    reports: [],
    page: STATUS[code],
    script: STATUS[code],
    reasons: { page: message, script: message },
  }
}
