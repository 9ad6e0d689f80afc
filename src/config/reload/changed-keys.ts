import type { Config } from '../config.ts'
import { SETTING_NAMES, type SettingName } from '../settings/settings.ts'

/** Settings that say who may enter, which are read again with the rules. */
export const RELOADED = [
  'PUBLIC_PATHS',
  'ALLOWED_EMAILS',
  'ALLOWED_EMAIL_DOMAINS',
  'ALLOWED_GROUPS',
  'ALLOW_ANY_USER',
] as const satisfies readonly SettingName[]

type Compared = Pick<Config, 'settings' | 'origins'>

/**
 * Returns the keys of the settings file whose settings differ from those at the start and are read at the start only.
 * Leaves out what the environment gives, and the content of files that a key names, because secrets rotate by themselves.
 */
export function findChangedKeys(atStart: Compared, next: Compared): readonly string[] {
  const names = SETTING_NAMES.filter((name) => !RELOADED.some((each) => each === name))
  return names.flatMap((name) => {
    const key = fileKeyIn(next, name) ?? fileKeyIn(atStart, name)
    return key !== undefined && effectOf(atStart, name) !== effectOf(next, name) ? [key] : []
  })
}

/** Returns the key under which the settings file gives a setting, or names its file. */
function fileKeyIn({ origins }: Compared, name: SettingName): string | undefined {
  const origin = origins.get(name)
  if (origin?.kind === 'settings-file') return origin.key
  // That of the environment names the same file for as long as the process runs.
  return origin?.kind === 'named-file' ? origin.setting : undefined
}

function effectOf({ settings, origins }: Compared, name: SettingName): string | undefined {
  const origin = origins.get(name)
  return origin?.kind === 'named-file' ? `file ${origin.path}` : JSON.stringify(settings[name])
}
