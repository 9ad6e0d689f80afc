/** Name that would be that of a middleware beside the policies: `vestibule-strip`. */
const TAKEN = ['strip']

/** Returns a name of a policy for each middleware, also for those of one name, in the form that Kubernetes demands. */
export function policyNames(middlewares: readonly string[]): readonly string[] {
  const names = middlewares.map((name) => {
    const parts = name.toLowerCase().match(/[a-z\d]+/g) ?? ['policy']
    return parts.join('-').slice(0, 40).replace(/-$/, '')
  })
  return numbered(names, TAKEN)
}

/** Returns names that occur once, with a number behind those that another has already. */
export function numbered(
  names: readonly string[],
  reserved: readonly string[] = [],
): readonly string[] {
  const taken = new Set(reserved)
  return names.map((name) => {
    let free = name
    for (let count = 2; taken.has(free); count++) free = `${name}-${count}`
    taken.add(free)
    return free
  })
}
