/** Makes a failing case as small as it stays failing by leaving out members of objects and lists, one after the other. */
export function smallestCase<Case>(failing: Case, isFailing: (smaller: Case) => boolean): Case {
  const smaller = variantsOf(failing).find((variant) => isFailing(variant as Case))
  return smaller === undefined ? failing : smallestCase(smaller as Case, isFailing)
}

/** Yields the value without one of its members, the outer ones first, and with one member made smaller. */
function* variantsOf(value: unknown): Generator {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const at of value.keys()) yield value.toSpliced(at, 1)
    for (const [at, member] of value.entries())
      for (const variant of variantsOf(member)) yield value.with(at, variant)
    return
  }
  for (const name of Object.keys(value))
    yield Object.fromEntries(Object.entries(value).filter(([each]) => each !== name))
  for (const [name, member] of Object.entries(value))
    for (const variant of variantsOf(member)) yield { ...value, [name]: variant }
}
