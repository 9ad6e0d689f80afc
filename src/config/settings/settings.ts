import { z } from 'zod'
import { cacheSettings } from './cache.ts'
import { redisSettings } from './redis.ts'
import { requestSettings } from './request.ts'
import { serviceSettings } from './service.ts'
import type { SettingNotes } from './setting-kinds.ts'

/** Every setting, in the order of the documentation. Each takes a string, as environments have them. */
export const settings = z.object({
  ...requestSettings,
  ...serviceSettings,
  ...redisSettings,
  ...cacheSettings,
})

export type SettingName = keyof typeof settings.shape
export type Settings = z.output<typeof settings>

/** The notes of a setting. */
export function notesOf(name: SettingName): SettingNotes {
  return settings.shape[name].meta() as unknown as SettingNotes
}
