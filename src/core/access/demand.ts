import { AuthError } from '../../errors.ts'
import { cleanOwnText, cleanText } from '../clean-text.ts'
import type { Condition, RequiredCondition } from './condition.ts'

/** Conditions that the address of the middleware demands beside the rules (`/auth?policy=…&groups=…`). */
export interface Demand {
  readonly conditions: readonly RequiredCondition[]
}

/**
 * Reads the query of a check's own address; `undefined` where it has no parameter. Throws `AuthError` `invalid_request`
 * for a parameter that is unknown, empty or there twice, and `unknown_policy`.
 */
export type ReadDemand = (url: string | undefined) => Demand | undefined

/** Bounds the demands that are kept; a deployment has as many as it has addresses of middlewares. */
const MAX_KEPT = 200

/** Creates the reader, which returns the same object for the same address, because access is kept by demand. */
export function createDemandReader(policies: ReadonlyMap<string, Condition>): ReadDemand {
  const kept = new Map<string, Demand>()

  function keep(url: string): Demand | undefined {
    const conditions = parseQuery(url, policies)
    if (conditions.length === 0) return undefined
    if (kept.size === MAX_KEPT) kept.clear()
    const demand = { conditions }
    kept.set(url, demand)
    return demand
  }

  return (url) =>
    url === undefined || !/[?#]/.test(url) ? undefined : (kept.get(url) ?? keep(url))
}

function parseQuery(
  url: string,
  policies: ReadonlyMap<string, Condition>,
): readonly RequiredCondition[] {
  // Refuses a fragment, which some proxies send on and others drop together with what it was meant to demand.
  if (url.includes('#')) throw invalid('has a fragment')
  const { policy, groups } = readParameters(url.slice(url.indexOf('?')))
  return [
    ...(groups === undefined ? [] : [inOneOf(groups)]),
    ...(policy === undefined ? [] : [policyNamed(policy, policies)]),
  ]
}

interface Parameters {
  policy?: string
  groups?: string
}

function readParameters(query: string): Parameters {
  const parameters: Parameters = {}
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== 'policy' && name !== 'groups') {
      throw invalid(
        `has an unknown parameter: ${cleanText(name, MAX_NAME_CHARS) || 'one without a name'}`,
      )
    }
    if (parameters[name] !== undefined) throw invalid(`has the parameter ${name} more than once`)
    if (value.trim() === '') throw invalid(`has an empty parameter: ${name}`)
    parameters[name] = value
  }
  return parameters
}

const MAX_NAME_CHARS = 64

function policyNamed(policy: string, policies: ReadonlyMap<string, Condition>): RequiredCondition {
  const condition = policies.get(policy)
  if (condition) return { condition, policy }
  throw new AuthError('unknown_policy', 'The middleware asks for a policy that does not exist.', {
    isPublic: true,
    facts: { policy: cleanOwnText(policy, MAX_NAME_CHARS), setting: 'VESTIBULE_CONFIG policies' },
  })
}

/** Separates by commas after decoding, so `%2C` separates too; names with commas need a policy. */
function inOneOf(groups: string): RequiredCondition {
  const values = groups.split(',').map((group) => group.trim())
  if (values.includes('')) throw invalid('has an empty name among its groups')
  return { condition: { kind: 'groups', values: new Set(values) } }
}

function invalid(fault: string): AuthError {
  return new AuthError('invalid_request', `The address of the middleware ${fault}.`, {
    isPublic: true,
    facts: { setting: 'forwardAuth address' },
  })
}
