import { answerStatus } from '../../answer-status.ts'
import { decide, type Evidence, type Verdict } from '../../decision.ts'
import type { ForwardedRequest } from '../../forwarded-request.ts'
import { classify } from '../../request-class.ts'
import type { Access } from '../access-rule.ts'
import type { Requester } from '../condition.ts'
import type { Demand } from '../demand.ts'
import type { Rules } from '../rule-set.ts'
import { headersOf, type Sender } from './asked-headers.ts'
import type { ExplainedAccess, ExplainedReading } from './explanation.ts'
import type { AskedUrl, Question } from './question.ts'
import { traceConditions, traceRule } from './trace-rule.ts'

/** Question with what is derived from it once. */
export interface AskedQuestion {
  readonly question: Question
  readonly url: AskedUrl
  /** Person asked about, or one without any claim where nobody is signed in. */
  readonly requester: Requester
  readonly evidence: Evidence
}

/** Request as the check reads it, with the access that the rules give it. */
export interface Consulted {
  readonly rules: Rules
  readonly demand: Demand | undefined
  readonly request: ForwardedRequest
  readonly access: Access
}

/** Asks the parts of the check for the answers, and the rules found for what decided them. */
export function explainAccess(consulted: Consulted, asked: AskedQuestion): ExplainedAccess {
  const { rules, request, demand } = consulted
  const matches = rules.findPerReading(request)
  const deciding = new Set(matches.flatMap(({ rule }) => rule ?? []))
  const reporting = new Set(matches.flatMap(({ reported }) => reported))
  const traced = { ...asked, requestClass: classOf('page', consulted, asked) }
  const [page, script] = [answer('page', consulted, asked), answer('script', consulted, asked)]
  return {
    readings: readingsOf(matches),
    ambiguous: request.readings.all.length > 1,
    rules: [...deciding].map((rule) => traceRule(rule, traced)),
    demand: traceConditions(demand?.conditions ?? [], asked.requester),
    reports: [...reporting].map((rule) => traceRule(rule, traced)),
    page: page.status,
    script: script.status,
    reasons: { page: page.reason, script: script.reason },
  }
}

/** Returns each path once for each rule; several comparisons may have the same, and the root is compared as '' too. */
function readingsOf(matches: ReturnType<Rules['findPerReading']>): readonly ExplainedReading[] {
  const readings = matches.map(({ path, rule }) => ({
    path: path === '' ? '/' : path,
    ...(rule && { rule: rule.name }),
  }))
  return [...new Map(readings.map((each) => [JSON.stringify(each), each])).values()]
}

function classOf(sender: Sender, { request }: Consulted, asked: AskedQuestion) {
  return classify(headersOf(asked, sender), request.method, request.isWebSocketScheme)
}

function answer(sender: Sender, consulted: Consulted, asked: AskedQuestion) {
  const { evidence, requester } = asked
  const requestClass = classOf(sender, consulted, asked)
  const verdict = decide(consulted.access, requestClass, evidence, requester.address)
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
      const { identity, address } = requester
      const { rule, reason } = consulted.rules.explainRefusal({ ...consulted, address }, identity)
      return rule === undefined ? reason : `rule ${rule}: ${reason}`
    }
  }
}

function reasonToAllow({ kind }: Access, isKnown: boolean): string {
  if (kind === 'public') return 'everybody may enter'
  if (kind === 'optional') return 'everybody may enter, and the app is told who is signed in'
  return isKnown ? 'the rules permit this person' : 'a preflight may pass'
}
