import { type Expression, parseExpression } from './expression.ts'

/** Alternative of a router's rule: requests that meet each of its matchers. */
export interface MatchedRequests {
  readonly hosts: readonly string[] | undefined
  readonly paths: readonly PathMatcher[] | undefined
  readonly methods: readonly string[] | undefined
  /** Matchers that have no counterpart, by which fewer requests match. */
  readonly others: readonly string[]
}

export interface PathMatcher {
  readonly path: string
  readonly isPrefix: boolean
}

/** Reads a rule of Traefik as alternatives. Returns `undefined` where it cannot be read, or has too many of them. */
export function matchedRequests(rule: string): readonly MatchedRequests[] | undefined {
  const expression = parseExpression(rule)
  const alternatives = expression && alternativesOf(expression)
  return alternatives && alternatives.length <= MAX_ALTERNATIVES ? alternatives : undefined
}

/** Returns the hosts that a rule names, each once. */
export function hostsOf(rule: string): readonly string[] {
  return [...new Set((matchedRequests(rule) ?? []).flatMap(({ hosts = [] }) => hosts))]
}

const MAX_ALTERNATIVES = 50
const EVERYTHING: MatchedRequests = {
  hosts: undefined,
  paths: undefined,
  methods: undefined,
  others: [],
}

function alternativesOf(expression: Expression): readonly MatchedRequests[] {
  if ('any' in expression) return expression.any.flatMap(alternativesOf)
  if ('all' in expression) {
    const [left, right] = expression.all.map(alternativesOf) as [Alternatives, Alternatives]
    // Not multiplied out further, because it is refused anyway.
    return left.length * right.length > MAX_ALTERNATIVES
      ? [...left, ...right, ...Array.from({ length: MAX_ALTERNATIVES }, () => EVERYTHING)]
      : left.flatMap((one) => right.map((other) => both(one, other)))
  }
  if ('not' in expression) {
    const inside = alternativesOf(expression.not).flatMap(({ others }) => others)
    return [{ ...EVERYTHING, others: ['!', ...inside] }]
  }
  return [matcherOf(expression)]
}

type Alternatives = readonly MatchedRequests[]

function matcherOf({ name, args }: { readonly name: string; readonly args: readonly string[] }) {
  if (args.length === 0) return { ...EVERYTHING, others: [`${name} without a value`] }
  const isPlain = !args.some((arg) => /[{}]/.test(arg))
  if (!isPlain) return { ...EVERYTHING, others: [name] }
  if (name === 'Host') {
    // A star is no wildcard there, and no name of a host has one.
    if (args.some((host) => host.includes('*'))) return { ...EVERYTHING, others: [name] }
    return { ...EVERYTHING, hosts: args.map((host) => host.toLowerCase()) }
  }
  if (name === 'Path' || name === 'PathPrefix') {
    if (!args.every((path) => path.startsWith('/')))
      return { ...EVERYTHING, others: [`${name} without a slash`] }
    const paths = args.map((path) => ({ path, isPrefix: name === 'PathPrefix' }))
    return { ...EVERYTHING, paths }
  }
  if (name === 'Method') return { ...EVERYTHING, methods: args.map((each) => each.toUpperCase()) }
  return { ...EVERYTHING, others: [name] }
}

/** Returns what meets both; matchers of one kind that differ are left to `others`, because lists of patterns are not intersected. */
function both(one: MatchedRequests, other: MatchedRequests): MatchedRequests {
  const twice = (['hosts', 'paths', 'methods'] as const).filter(
    (kind) => one[kind] !== undefined && other[kind] !== undefined,
  )
  return {
    hosts: one.hosts ?? other.hosts,
    paths: one.paths ?? other.paths,
    methods: one.methods ?? other.methods,
    others: [...one.others, ...other.others, ...twice.map((kind) => `two matchers of ${kind}`)],
  }
}
