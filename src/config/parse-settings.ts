import { notesOf, type SettingName, type Settings, settings } from './settings/settings.ts'
import type { GivenSetting } from './sources/given.ts'
import type { Sources } from './sources/read-sources.ts'

/** Parses each setting by itself, so that one error does not hide the others. */
export function parseSettings<N extends SettingName>(
  { given, rules, unreadable }: Sources,
  names: readonly N[],
  problems: string[],
): { readonly parsed: Pick<Settings, N>; readonly unusable: readonly SettingName[] } {
  const unusable: SettingName[] = [...unreadable]
  const values = names.map((name) => {
    const schema = settings.shape[name]
    const setting = unreadable.has(name) ? undefined : given.get(name)
    const result = schema.safeParse(setting?.value)
    if (result.success) return [name, result.data] as const
    unusable.push(name)
    // A file that cannot be used leaves open whether it has the setting.
    if (setting || (rules && !unreadable.has(name))) {
      const what = result.error.issues.map((issue) => issue.message).join(', ')
      problems.push(`${labelOf(name, setting)}: ${what}. ${notesOf(name).text}`)
    }
    return [name, schema.safeParse(undefined).data] as const
  })
  return { parsed: Object.fromEntries(values) as Pick<Settings, N>, unusable }
}

function labelOf(name: SettingName, setting: GivenSetting | undefined): string {
  const origin = setting?.origin
  return origin?.kind === 'settings-file' ? `VESTIBULE_CONFIG: ${origin.key} (${name})` : name
}

/** Returns whether a problem follows from a value that cannot be used, which is told already. */
export function isConsequence(problem: string, unusable: readonly SettingName[]): boolean {
  return unusable.some((name) => {
    const isOfPeople = /^(?:ALLOWED_|ALLOW_ANY_USER$|PUBLIC_PATHS$)/.test(name)
    const isOfServers = name === 'REDIS_URL' || name === 'REDIS_SENTINEL_ADDRESSES'
    return (
      problem.startsWith(`${name}:`) ||
      (isOfPeople && problem.startsWith('Nobody ')) ||
      (isOfServers && MISSED_WITHOUT_SERVERS.test(problem))
    )
  })
}

const MISSED_WITHOUT_SERVERS =
  /^REDIS_(?:ADDRESS: is missing|SENTINEL_\w+: has no use without Sentinels)/
