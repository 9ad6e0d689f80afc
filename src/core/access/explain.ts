import { AuthError, invalidRequest, STATUS } from '../../errors.ts'
import { answerStatus } from '../answer-status.ts'
import type { Claims } from '../claims.ts'
import { decide, type Evidence, needsEvidence, type Verdict } from '../decision.ts'
import { type ForwardedRequest, parseForwardedRequest } from '../forwarded-request.ts'
import { areGroupsKnown, type Identity } from '../identity.ts'
import { isUnder, readPath } from '../path-readings.ts'
import { type IdentityOptions, ignoredClaims, toIdentity } from '../read-identity.ts'
import { classify } from '../request-class.ts'
import type { Sites } from '../site.ts'
import type { Access } from './access-rule.ts'
import { headersOf, type Sender } from './asked-headers.ts'
import type { Requester } from './condition.ts'
import type { Demand } from './demand.ts'
import { explainConditions, explainRule } from './explained-rule.ts'
import type { ExplainedPerson, ExplainedReading, Explanation } from './explanation.ts'
import { type AskedUrl, claimsOf, type Question, splitUrl, URL_FORM } from './question.ts'
import type { LiveRules, Rules } from './rule-set.ts'

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

/** Question with what is derived from it once. */
interface AskedQuestion {
  readonly question: Question
  readonly url: AskedUrl
  /** Person asked about, or one without any claim where nobody is signed in. */
  readonly requester: Requester
  readonly evidence: Evidence
}

/** Request as the check reads it, with the access that the rules give it. */
interface Consulted {
  readonly rules: Rules
  readonly demand: Demand | undefined
  readonly request: ForwardedRequest
  readonly access: Access
}

type Described = Pick<Explanation, 'url' | 'method' | 'browser' | 'ip' | 'client' | 'policy'>
type Explained = Omit<Explanation, keyof Described | 'person'>

function checkAddress({ policy }: Question): string {
  return policy === undefined
    ? '/auth'
    : `/auth?policy=${encodeURIComponent(policy.toWellFormed())}`
}

function sessionOf(identity: Identity): Evidence {
  return { kind: 'session', session: { identity, createdAt: 0, expiresAt: Infinity } }
}

function describe({ question, url, requester: { address } }: AskedQuestion): Described {
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

function explainFault({ code, message }: AuthError, { uri }: AskedUrl): Explained {
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

function explainAccess(consulted: Consulted, asked: AskedQuestion): Explained {
  const { rules, request, demand } = consulted
  const matches = rules.findPerReading(request)
  const deciding = new Set(matches.flatMap(({ rule }) => rule ?? []))
  const reporting = new Set(matches.flatMap(({ reported }) => reported))
  const of = { ...asked, requestClass: classOf('page', consulted, asked) }
  const [page, script] = [answer('page', consulted, asked), answer('script', consulted, asked)]
  return {
    readings: readingsOf(matches),
    ambiguous: request.readings.all.length > 1,
    rules: [...deciding].map((rule) => explainRule(rule, of)),
    demand: explainConditions(demand?.conditions ?? [], asked.requester),
    reports: [...reporting].map((rule) => explainRule(rule, of)),
    page: page.status,
    script: script.status,
    reasons: { page: page.reason, script: script.reason },
  }
}

/** Returns each path once for each rule; several comparisons may have the same. */
function readingsOf(matches: ReturnType<Rules['findPerReading']>): readonly ExplainedReading[] {
  const distinct = new Map(matches.map((match) => [`${match.rule?.name}\n${match.path}`, match]))
  return [...distinct.values()].map(({ path, rule }) => ({
    path,
    ...(rule && { rule: rule.name }),
  }))
}

function classOf(sender: Sender, { request }: Consulted, asked: AskedQuestion) {
  return classify(headersOf(asked, sender), request.method, request.isWebSocketScheme)
}

function answer(sender: Sender, consulted: Consulted, asked: AskedQuestion) {
  const { access } = consulted
  const requestClass = classOf(sender, consulted, asked)
  const evidence: Evidence = needsEvidence(access, requestClass) ? asked.evidence : { kind: 'none' }
  const verdict = decide(access, requestClass, evidence, asked.requester.address)
  const status = answerStatus(verdict, requestClass)
  return { status, reason: reasonOf(verdict, consulted, asked) }
}

function reasonOf(verdict: Verdict, consulted: Consulted, { requester }: AskedQuestion): string {
  switch (verdict.kind) {
    case 'allow':
      return reasonToAllow(consulted.access, verdict.principal !== undefined)
    case 'sign-in':
      return 'nobody is signed in'
    case 'reset-cookies':
      return 'the session cookie is there twice'
    case 'refuse-token':
      return 'a rule takes tokens only'
    case 'forbidden': {
      const { rules, request, demand } = consulted
      const { identity, address } = requester
      const { rule, reason } = rules.explainRefusal({ request, demand, address }, identity)
      return rule === undefined ? reason : `rule ${rule}: ${reason}`
    }
  }
}

function reasonToAllow({ kind }: Access, isKnown: boolean): string {
  if (kind === 'public') return 'everybody may enter'
  if (kind === 'optional') return 'everybody may enter, and the app is told who is signed in'
  return isKnown ? 'the rules permit this person' : 'a preflight may pass'
}
