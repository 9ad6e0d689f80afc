import { z } from 'zod'
import { cacheSettings } from './cache.ts'
import { processSettings } from './process.ts'
import { providerSettings } from './provider.ts'
import { redisSettings } from './redis.ts'
import { requestSettings } from './request.ts'
import { sessionSettings } from './session.ts'
import { type Duration, notes, type SettingNotes } from './setting-kinds.ts'

/** Every setting, in the order of the documentation. Each takes a string, as environments have them. */
export const settings = z.object({
  ...requestSettings,
  ...providerSettings,
  ...sessionSettings,
  ...processSettings,
  ...redisSettings,
  ...cacheSettings,
})

export type SettingName = keyof typeof settings.shape
export type Settings = z.output<typeof settings>

export const SETTING_NAMES = Object.keys(settings.shape) as readonly SettingName[]

/** Returns the documentation of a setting. Throws `TypeError` for a setting that has none. */
export function notesOf(name: SettingName): SettingNotes {
  const found = notes.get(settings.shape[name])
  if (!found) throw new TypeError(`${name} has no notes`)
  return found
}

/** Returns whether the setting is a list, which YAML may write as one. */
export function isList(name: SettingName): boolean {
  return Array.isArray(settings.shape[name].safeParse(['x']).data)
}

/** Returns whether the value may also be in a file, which `NAME_FILE` names. */
export function isReadFromFile(name: SettingName): boolean {
  return notesOf(name).isSecret || isList(name)
}

/** Returns a value as the environment would give it; an empty text when none is set. */
export function formatValue(value: Settings[SettingName], separator = ','): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) {
    return value.some((entry) => /[,\n]/.test(entry))
      ? JSON.stringify(value)
      : value.join(separator)
  }
  return `${isDuration(value) ? value.seconds : value}`
}

function isDuration(value: unknown): value is Duration {
  return typeof value === 'object' && value !== null && 'seconds' in value
}
