import { notesOf, type SettingName } from '../config/settings.ts'
import { type Environment, loadConfig } from '../config.ts'

/** Prints the effective configuration with secrets masked. Throws `ConfigError` when it cannot be used. */
export async function checkConfig(environment: Environment): Promise<number> {
  const { settings, rules } = loadConfig(environment)
  for (const [name, value] of Object.entries(settings)) {
    process.stdout.write(`${name}=${show(name as SettingName, value)}\n`)
  }
  process.stdout.write(`# ${rules.length} rules, the first that matches decides\n`)
  return 0
}

function show(name: SettingName, value: unknown): string {
  if (value === undefined) return ''
  if (notesOf(name).isSecret) return '***'
  return Array.isArray(value) ? value.join(',') : `${value as string | number | boolean}`
}
