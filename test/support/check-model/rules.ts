import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import type { Person } from './world.ts'

/** Demand of all the rules that are found for a request. */
export type Demand =
  | { readonly kind: 'public' | 'deny' }
  | {
      readonly kind: 'sign-in'
      readonly rules: readonly RuleSource[]
      /** Rules with `bearer`, where every rule has it. */
      readonly bearers: readonly NonNullable<RuleSource['bearer']>[]
      readonly isOneTime: boolean
      readonly passesPreflight: boolean
      readonly deniesDegraded: boolean
    }

export interface RuledRequest {
  readonly method: string
  readonly hostname: string
  readonly readings: readonly string[]
}

type Fold = (text: string) => string
const FOLDS: readonly Fold[] = [
  (text) => text.normalize('NFC'),
  (text) => text.normalize('NFC').toLowerCase(),
  (text) => text.normalize('NFKC').toLowerCase(),
]
const SLASHES: readonly Fold[] = [(text) => text, (text) => text.replace(/\/$/, '')]

/** Rule as far as it says which requests it is for. */
interface Matched {
  readonly access: RuleSource['access'] | 'optional'
  readonly hosts?: readonly string[] | undefined
  readonly paths?: readonly string[] | undefined
  readonly methods?: readonly string[] | undefined
  readonly report?: boolean | undefined
}

/**
 * Returns every rule that is the first to match some reading, in some folding, with the final slash or without it
 * (docs/rules.md); `undefined` among them where no rule matches one of these. Rules that only report are passed over.
 */
export function foundRules<Rule extends Matched>(
  rules: readonly Rule[],
  request: RuledRequest,
): ReadonlySet<Rule | undefined> {
  const deciding = rules.filter(({ report }) => report !== true)
  const found = new Set<Rule | undefined>()
  for (const reading of request.readings) {
    for (const fold of FOLDS) {
      for (const slash of SLASHES) {
        const seen = (text: string) => slash(fold(text))
        found.add(deciding.find((rule) => applies(rule, request, reading, seen)))
      }
    }
  }
  return found
}

/** Demands what every rule demands that is found. */
export function demandOf(rules: readonly RuleSource[], request: RuledRequest): Demand {
  const found = foundRules(rules, request)
  const all = [...found].flatMap((rule) => rule ?? [])
  const bearers = all.flatMap(({ bearer }) => bearer ?? [])
  const isForTokens = bearers.length === all.length
  const isOneTime = all.some(({ oneTime }) => oneTime === true)
  const isClosed = found.has(undefined) || all.some(({ access }) => access === 'deny')
  if (isClosed || (isOneTime && !isForTokens)) return { kind: 'deny' }
  if (all.every(({ access }) => access === 'public')) return { kind: 'public' }
  return {
    kind: 'sign-in',
    rules: all,
    bearers: isForTokens ? bearers : [],
    isOneTime,
    passesPreflight: all.every(({ preflight }) => preflight === 'pass'),
    deniesDegraded: all.some(({ degraded }) => degraded === 'deny'),
  }
}

function applies(rule: Matched, request: RuledRequest, reading: string, seen: Fold): boolean {
  const { method, hostname, readings } = request
  const isOpen = rule.access === 'public' || rule.access === 'optional'
  if (isOpen && readings.length > 1) return false
  if (rule.methods && !rule.methods.includes(method === 'HEAD' ? 'GET' : method)) return false
  if (rule.hosts && !rule.hosts.some((pattern) => isHost(pattern, hostname))) return false
  return !rule.paths || rule.paths.some((each) => isPath(split(seen(each)), split(seen(reading))))
}

/** Returns whether a name is the pattern's, or lies below that of a wildcard. */
export function isHost(pattern: string, hostname: string): boolean {
  return pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : hostname === pattern
}

function split(path: string): readonly string[] {
  return path.slice(1).split('/')
}

function isPath([first, ...others]: readonly string[], path: readonly string[]): boolean {
  if (first === undefined) return path.length === 0
  if (first === '**') {
    return Array.from({ length: path.length + 1 }, (_, at) => path.slice(at)).some((rest) =>
      isPath(others, rest),
    )
  }
  const [name, ...rest] = path
  return (first === '*' ? Boolean(name) : name === first) && isPath(others, rest)
}

/** Returns whether each rule names the person on one of its lists, or has no list. */
export function permits(rules: readonly RuleSource[], { email, groups }: Person): boolean {
  return rules.every((rule) => {
    if (!rule.emails && !rule.emailDomains && !rule.groups) return true
    const isMember = rule.groups?.some((group) => groups.includes(group))
    const address = email?.toLowerCase()
    const domain = address?.split('@')[1] ?? ''
    return isMember || rule.emails?.includes(address ?? '') || rule.emailDomains?.includes(domain)
  })
}
