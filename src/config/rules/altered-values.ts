import type { YamlContent } from '../sources/yaml.ts'

/**
 * Finds keys, and values of claims in conditions, whose text YAML changes, such as `0123`, `1e3` or `True`, because names
 * and claims are compared by their text. Returns the path of each.
 */
export function alteredValues({ typed, written }: YamlContent): (readonly PropertyKey[])[] {
  return below(typed, written, [])
}

function below(
  typed: unknown,
  written: unknown,
  path: readonly PropertyKey[],
): (readonly PropertyKey[])[] {
  if (typeof typed !== 'object' || typed === null) {
    return path.includes('claims') && String(typed) !== written ? [path] : []
  }
  // Claims of tokens have always been compared as YAML reads them.
  return Object.entries(typed).flatMap(([key, value]) => {
    if (key === 'bearer' && path.length === 2) return []
    const place = [...path, key]
    return hasMember(written, key) ? below(value, written[key], place) : [place]
  })
}

function hasMember(value: unknown, key: string): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
}
