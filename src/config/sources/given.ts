import type { SettingName } from '../settings/settings.ts'

/** Place that a setting's value was read from; a setting without one has its default. */
export type Origin =
  | { readonly kind: 'environment' }
  /** File whose path stands in `setting`: `REDIS_PASSWORD_FILE`, or `redis.passwordFile` of the settings file. */
  | { readonly kind: 'named-file'; readonly setting: string; readonly path: string }
  | { readonly kind: 'settings-file'; readonly key: string }
  /** Option of the address of Redis. */
  | { readonly kind: 'redis-address'; readonly option: string }

/** Value of a setting before it is parsed; a list where its entries are already apart. */
export interface GivenSetting {
  readonly value: string | readonly string[]
  readonly origin: Origin
}

export type GivenSettings = ReadonlyMap<SettingName, GivenSetting>

/** Returns the path of the file that the value was read from, where a `NAME_FILE` named one. */
export function pathOf(setting: GivenSetting | undefined): string | undefined {
  return setting?.origin.kind === 'named-file' ? setting.origin.path : undefined
}
