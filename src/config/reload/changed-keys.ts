import { RELOADED } from '../rules/fingerprint.ts'
import { SETTING_NAMES, type SettingName, type Settings } from '../settings/settings.ts'
import type { GivenSettings } from '../sources/given.ts'

/** Settings, and where each was given. */
export interface ComparedSettings {
  readonly settings: Settings
  readonly given: GivenSettings
}

/**
 * Returns the keys of the settings file whose settings differ from those at the start and are read at the start only.
 * Leaves out what the environment gives, and the content of files that a key names, because secrets rotate by themselves.
 */
export function findChangedKeys(
  atStart: ComparedSettings,
  next: ComparedSettings,
): readonly string[] {
  const names = SETTING_NAMES.filter((name) => !RELOADED.some((each) => each === name))
  return names.flatMap((name) => {
    const key = fileKeyIn(next, name) ?? fileKeyIn(atStart, name)
    return key !== undefined && effectOf(atStart, name) !== effectOf(next, name) ? [key] : []
  })
}

/** Returns the key under which the settings file gives a setting, or names its file; what the environment names never changes. */
function fileKeyIn({ given }: ComparedSettings, name: SettingName): string | undefined {
  const origin = given.get(name)?.origin
  if (origin?.kind === 'settings-file') return origin.key
  // That of the environment names the same file for as long as the process runs.
  return origin?.kind === 'named-file' ? origin.setting : undefined
}

function effectOf({ settings, given }: ComparedSettings, name: SettingName): string | undefined {
  const origin = given.get(name)?.origin
  return origin?.kind === 'named-file' ? `file ${origin.path}` : JSON.stringify(settings[name])
}
