import type { Config } from '../config/config.ts'
import {
  formatValue,
  notesOf,
  SETTING_NAMES,
  type SettingName,
} from '../config/settings/settings.ts'
import type { Origin } from '../config/sources/given.ts'

/** Returns every setting as `NAME=value`, below a line for the place that its value comes from; secrets are masked. */
export function describeSettings({ settings, origins }: Config): string[] {
  const byOrigin = Map.groupBy(SETTING_NAMES, (name) => describeOrigin(origins.get(name)))
  return [...byOrigin].toSorted(byRank).flatMap(([origin, names]) => [
    `# ${origin}`,
    ...names.map((name) => {
      const text = formatValue(settings[name])
      return `${name}=${notesOf(name).isSecret && text !== '' ? '***' : text}`
    }),
  ])
}

/** Returns the entries of each given list one by one, so that a separator inside a name is seen. */
export function describeLists({ settings, origins }: Config): string[] {
  return SETTING_NAMES.flatMap((name) => {
    const value = settings[name]
    if (!origins.has(name) || !Array.isArray(value)) return []
    return [
      `# ${name}, ${value.length === 1 ? 'one entry' : `${value.length} entries`}:`,
      ...value.map((entry) => `#   ${JSON.stringify(entry)}`),
    ]
  })
}

const DEFAULT = 'By default'
const ENVIRONMENT = 'From the environment'

function describeOrigin(origin: Origin | undefined): string {
  switch (origin?.kind) {
    case undefined:
      return DEFAULT
    case 'environment':
      return ENVIRONMENT
    case 'settings-file':
      return `From VESTIBULE_CONFIG, ${origin.key}`
    case 'redis-address':
      return `From ${origin.option} in the address of Redis`
    case 'named-file':
      return `From ${origin.path}, which ${origin.setting} names`
  }
}

/** Puts what is given before the defaults. */
function byRank(
  [one]: readonly [string, readonly SettingName[]],
  [other]: readonly [string, unknown],
): number {
  const rank = (origin: string) => (origin === ENVIRONMENT ? 0 : origin === DEFAULT ? 2 : 1)
  return rank(one) - rank(other)
}
