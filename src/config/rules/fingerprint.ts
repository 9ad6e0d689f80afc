import { isRecord } from '../../core/json.ts'
import { sha256 } from '../../crypto/digest.ts'
import type { SettingName, Settings } from '../settings/settings.ts'
import type { RulesFile } from './rules-file.ts'

/** Settings that say who may enter, which are read again with the rules. */
export const RELOADED = [
  'PUBLIC_PATHS',
  'ALLOWED_EMAILS',
  'ALLOWED_EMAIL_DOMAINS',
  'ALLOWED_GROUPS',
  'ALLOW_ANY_USER',
] as const satisfies readonly SettingName[]

/**
 * Returns a digest of rules, policies and lists, by which replicas tell whether they have the same. The order of keys and
 * of policies, comments and the way of writing YAML do not count; the order of rules and of the entries of a list does.
 */
export function fingerprintOf(file: RulesFile | undefined, settings: Settings): string {
  const lists = RELOADED.map((name) => settings[name])
  return sha256(JSON.stringify(withSortedKeys([file, lists])))
}

function withSortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSortedKeys)
  if (!isRecord(value)) return value
  return Object.keys(value)
    .toSorted()
    .map((key) => [key, withSortedKeys(value[key])])
}
