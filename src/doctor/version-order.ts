/** Returns whether a version such as `v3.7.9` comes before another; a text without numbers does not. */
export function isOlder(version: string, than: string): boolean {
  const [one, other] = [version, than].map(numbersOf)
  if (!one || !other) return false
  const at = other.findIndex((number, place) => number !== one[place])
  return at !== -1 && (one[at] ?? 0) < (other[at] ?? 0)
}

function numbersOf(version: string): readonly number[] | undefined {
  return /^v?(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number)
}
