/** Name of the middleware that deletes headers, which is the same for every policy. */
export const STRIP = 'vestibule-strip'

/** Names of the middleware that checks requests, and of the chain that ends with it. */
interface CheckNames {
  readonly check: string
  readonly chain: string
}

/** Returns the names for a policy; without one, those of the check that demands nothing beside the rules. */
export function namesOf(policy?: string): CheckNames {
  return policy === undefined
    ? { check: 'vestibule', chain: 'protected' }
    : { check: `vestibule-${policy}`, chain: `protected-${policy}` }
}

/** Returns why no middleware can be named after a policy, and what to do; `undefined` where one can. */
export function faultOfPolicy(
  policy: string,
  known: readonly string[],
  isKubernetes: boolean,
): string | undefined {
  if (!known.includes(policy)) {
    const those = known.length === 0 ? 'has none' : `has ${known.join(', ')}`
    return `there is no policy ${policy}: VESTIBULE_CONFIG ${those}`
  }
  const { check } = namesOf(policy)
  if (check === STRIP) {
    return `the policy ${policy} needs another name: ${STRIP} is the middleware that deletes headers`
  }
  if (isKubernetes && !OBJECT_NAME.test(policy)) {
    return `the policy ${policy} needs another name: in Kubernetes use lower-case letters and digits, with single hyphens between them`
  }
  return undefined
}

/**
 * Matches what may end the name of an object. Dots and doubled hyphens, which Kubernetes allows, would make one middleware of
 * two policies, because Traefik takes each run of them for one hyphen.
 */
const OBJECT_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/
