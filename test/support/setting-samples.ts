import { loadSettings } from '../../src/config/load.ts'
import { formatValue, SETTING_NAMES, type SettingName } from '../../src/config/settings/settings.ts'
import { words } from './words.ts'

const CANDIDATES = words`true false 7 77 300 debug hybrid strict never ignore post any none RS256 id-token /x openid\x20x x`

/** Settings that the settings file may hold, each with a value that is not its default. */
export const SAMPLES: readonly (readonly [SettingName, string])[] = SETTING_NAMES.filter(
  (name) => name !== 'VESTIBULE_CONFIG',
).map((name) => [name, sampleOf(name)])

/** Returns one setting of an environment as it would be written there. */
export function readSetting(environment: Readonly<Record<string, string>>, name: SettingName) {
  return formatValue(loadSettings(environment, name)[name])
}

function sampleOf(name: SettingName): string {
  const fits = CANDIDATES.find((value) => isOtherThanDefault(name, value))
  if (fits === undefined) throw new Error(`add a value of ${name} to CANDIDATES`)
  return fits
}

function isOtherThanDefault(name: SettingName, value: string): boolean {
  try {
    const read = readSetting({ [name]: value }, name)
    return read === value && read !== valueByDefault(name)
  } catch {
    return false
  }
}

function valueByDefault(name: SettingName): string | undefined {
  try {
    return readSetting({}, name)
  } catch {
    return undefined
  }
}
