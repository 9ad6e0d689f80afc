import type { ExplainedPerson, Explanation } from '../../core/access/explain/explanation.ts'
import type { ConditionTrace } from '../../core/access/explain/trace-condition.ts'
import type { RequiredTrace, RuleTrace } from '../../core/access/explain/trace-rule.ts'

/** Describes an explanation in lines, of which the last two are the statuses. */
export function describeExplanation(explanation: Explanation): readonly string[] {
  const { url, method, browser, person, page, script, reasons } = explanation
  return [
    `url: ${url}`,
    ...(browser === undefined ? [] : [`note: a browser sends ${browser} instead`]),
    `method: ${method}`,
    ...describePerson(person),
    `client: ${describeClient(explanation)}`,
    ...section('readings', describeReadings(explanation)),
    ...section(
      'rules',
      explanation.rules.flatMap((rule) => describeRule(rule, PERMITS)),
    ),
    ...section('demanded by the middleware', explanation.demand.flatMap(describeCondition)),
    ...section(
      'report rules',
      explanation.reports.flatMap((rule) => describeRule(rule, REPORTS)),
    ),
    `why: ${reasons.page}`,
    ...(reasons.script === reasons.page ? [] : [`why, for a script: ${reasons.script}`]),
    `page: ${page}`,
    `script: ${script}`,
  ]
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map(indent)]
}

function describePerson(person: ExplainedPerson | undefined): readonly string[] {
  if (!person) return ['who: nobody is signed in']
  const { user = 'without sub', email = 'unknown', groups, ignored } = person
  return [
    `who: ${user} · email: ${email} · groups: ${groups ? groups.join(', ') || 'none' : 'unknown'}`,
    ...ignored.map((reason) => `ignored: ${reason}`),
  ]
}

function describeClient({ ip, client }: Explanation): string {
  if (client !== undefined) return client
  return ip === undefined ? 'unknown' : `unknown, because ${ip} is one of TRUSTED_PROXIES`
}

function describeReadings({ readings, ambiguous, fault }: Explanation): readonly string[] {
  const decided = readings.map(({ path, rule }) =>
    fault === undefined ? `${path} → ${rule ?? 'no rule'}` : path,
  )
  return ambiguous ? [...decided, AMBIGUOUS] : decided
}

const AMBIGUOUS =
  '(several readings: no public or optional rule matches, and all rules must permit)'

const PERMITS = { true: 'permits', false: 'does not permit', undefined: 'needs a sign-in' } as const
const REPORTS = {
  true: 'would permit',
  false: 'would deny',
  undefined: 'does not count, because nobody is signed in',
} as const

function describeRule(
  { name, access, permits, tokens, lists, conditions }: RuleTrace,
  words: Readonly<Record<'true' | 'false' | 'undefined', string>>,
): readonly string[] {
  return [
    `${name} (${access}) ${words[`${permits}`]}`,
    ...(tokens === undefined ? [] : [`  tokens: ${tokens}`]),
    ...(lists ? ['  lists, one of them:', ...describeTrace(lists).slice(1).map(indent)] : []),
    ...conditions.flatMap(describeCondition).map(indent),
  ]
}

function describeCondition({ policy, ...trace }: RequiredTrace): readonly string[] {
  const lines = describeTrace(trace)
  return policy === undefined ? lines : [`policy ${policy}:`, ...lines.map(indent)]
}

const TRUTHS = { true: 'yes', false: 'no', unknown: 'unknown' } as const

function describeTrace({ text, truth, saw, because, of = [] }: ConditionTrace): readonly string[] {
  const values = saw === undefined ? '' : ` (${saw})`
  const reason = because === undefined ? '' : `, because ${because}`
  return [
    `${text} → ${TRUTHS[`${truth}`]}${values}${reason}`,
    ...of.flatMap(describeTrace).map(indent),
  ]
}

function indent(line: string): string {
  return `  ${line}`
}
