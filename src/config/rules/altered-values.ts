import { isRecord } from '../../core/json.ts'
import type { YamlContent } from '../sources/yaml.ts'

/**
 * Finds the values of claims in conditions whose text YAML changes, such as `0123`, `1e3` or `True`, because a condition
 * compares texts. Returns the path of each.
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
  return Object.entries(typed).flatMap(([key, value]) =>
    key === 'bearer' && path.length === 2
      ? []
      : below(value, memberOf(written, key), [...path, key]),
  )
}

function memberOf(value: unknown, key: string): unknown {
  return isRecord(value) || Array.isArray(value)
    ? (value as Record<string, unknown>)[key]
    : undefined
}
