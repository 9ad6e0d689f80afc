import { join } from 'node:path'
import { stringify } from 'yaml'
import { SETTING_NAMES } from '../config/settings/settings.ts'
import { fileKeyOf } from '../config/sources/file-keys.ts'
import type { Installation, SettingValue } from './installation.ts'

/** Folder of the secrets, beside the settings file. */
export const SECRETS = 'secrets'

/** Returns the name of the file of a secret: `session-encryption-key` for `SESSION_ENCRYPTION_KEY`. */
export function secretFileOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** Returns the settings file of an installation in a folder, whose secrets it names by their absolute paths. */
export function settingsYaml(installation: Installation, folder: string): string {
  const { settings, secrets, policies, rules } = installation
  const content: Content = {}
  for (const name of SETTING_NAMES) {
    const value = settings.get(name)
    if (value !== undefined) put(content, fileKeyOf(name), value)
    if (secrets.has(name))
      put(content, fileKeyOf(`${name}_FILE`), join(folder, SECRETS, secretFileOf(name)))
  }
  return `# MIGRATION.md beside this file says what has become of each option.\n${stringify(
    {
      ...content,
      ...(Object.keys(policies).length > 0 && { policies }),
      ...(rules.length > 0 && { rules }),
    },
    { aliasDuplicateObjects: false, lineWidth: 0 },
  )}`
}

type Content = Record<string, SettingValue | Record<string, SettingValue>>

function put(content: Content, key: string, value: SettingValue): void {
  const [section = '', member] = key.split('.')
  if (member === undefined) content[section] = value
  else content[section] = { ...(content[section] as Record<string, SettingValue>), [member]: value }
}
