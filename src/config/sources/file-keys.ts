import { isReadFromFile, SETTING_NAMES, type SettingName } from '../settings/settings.ts'
import { nearName } from './near-names.ts'

/** Sections of the settings file, each with the settings whose names begin with it. */
export const SECTIONS: readonly string[] = ['redis', 'oidc', 'session', 'cookie']

/** Spellings of the traefikoidc plugin in which an abbreviation is in capitals, and of two words that a name runs together. */
const SPELLINGS: Readonly<Record<string, string>> = {
  COOKIE_SAMESITE: 'sameSite',
  REDIS_ENABLE_TLS: 'enableTLS',
  REDIS_HYBRID_L1_MEMORY_MB: 'hybridL1MemoryMB',
}

/** Returns the key of a setting in the settings file: `redis.address` for `REDIS_ADDRESS`, `publicUrl` for `PUBLIC_URL`. */
export function fileKeyOf(name: string): string {
  const section = SECTIONS.find((each) => name.startsWith(`${each.toUpperCase()}_`))
  if (section === undefined) return camelCase(name)
  return `${section}.${SPELLINGS[name] ?? camelCase(name.slice(section.length + 1))}`
}

/** Returns the name of the setting, or its `NAME_FILE`, that a key stands for; abbreviations may be in capitals. */
export function nameOfFileKey(key: string): string | undefined {
  return NAMES.get(comparable(key))
}

/** Keys that a section, or with `''` the file itself, may have. */
export function keysOf(section: string): readonly string[] {
  const prefix = section === '' ? '' : `${section}.`
  return ALL_NAMES.map(fileKeyOf)
    .filter((key) => key.startsWith(prefix) && (section !== '' || !key.includes('.')))
    .map((key) => key.slice(prefix.length))
}

/** Returns the key that is meant by an unknown one: known elsewhere in the file, or misspelt. */
export function nearFileKey(key: string, section: string): string | undefined {
  const asName = key.replaceAll(/([a-z\d])([A-Z])/g, '$1_$2').toUpperCase()
  const elsewhere = SECTIONS.map((each) => nameOfFileKey(`${each}.${key}`))
  // A single word such as `host` means another thing in another section.
  const isName = ALL_NAMES.includes(asName) && (section === '' || asName.includes('_'))
  const name = isName ? asName : elsewhere.find((each) => each !== undefined)
  if (name !== undefined) return fileKeyOf(name)
  const keys = section === '' ? [...keysOf(''), ...SECTIONS, 'rules', 'policies'] : keysOf(section)
  const near = nearName(
    key.toLowerCase(),
    keys.map((each) => each.toLowerCase()),
  )
  const found = keys.find((each) => each.toLowerCase() === near)
  return found === undefined || section === '' ? found : `${section}.${found}`
}

/** Names that the file may hold, which cannot name itself. */
const ALL_NAMES = SETTING_NAMES.filter((name) => name !== 'VESTIBULE_CONFIG').flatMap(namesOf)
const NAMES: ReadonlyMap<string, string> = new Map([
  ...ALL_NAMES.map((name) => [comparable(fileKeyOf(name)), name] as const),
  ['cookie.samesite', 'COOKIE_SAMESITE'],
  ['oidc.userInfo', 'OIDC_USERINFO'],
])

/** Returns the names under which the value of a setting may be given. */
export function namesOf(name: SettingName): string[] {
  return isReadFromFile(name) ? [name, `${name}_FILE`] : [name]
}

function camelCase(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/_([a-z\d])/g, (_all, letter: string) => letter.toUpperCase())
}

/** Lowers abbreviations: `clientID` to `clientId`, `caFILE` to `caFile`. */
function comparable(key: string): string {
  return key.replaceAll(
    /([A-Z])([A-Z]+)(?=[A-Z][a-z]|[^A-Za-z]|$)/g,
    (_all, first: string, rest: string) => first + rest.toLowerCase(),
  )
}
