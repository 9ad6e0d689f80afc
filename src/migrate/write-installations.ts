import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import { traefikFile, traefikPolicies } from '../render/traefik.ts'
import type { Installation, Note } from './installation.ts'
import { migrationPage } from './migration-page.ts'
import { SECRETS, secretFileOf, settingsYaml } from './settings-yaml.ts'

/** Written installation, and what is wrong with it. */
export interface WrittenInstallation {
  readonly folder: string
  readonly notes: readonly Note[]
  /** Faults that `check-config` would find beside secrets that the operator has to add. */
  readonly problems: readonly string[]
}

const SETTINGS_FILE = 'vestibule.yaml'

/**
 * Writes the installations into a new folder that nobody else may read. Throws a system error, `EEXIST` where there is one
 * already, and leaves nothing behind then.
 */
export function writeInstallations(
  installations: readonly Installation[],
  output: string,
): readonly WrittenInstallation[] {
  mkdirSync(output, { mode: 0o700 })
  try {
    return installations.map((each) => writeInstallation(each, join(output, each.name)))
  } catch (error) {
    rmSync(output, { recursive: true })
    throw error
  }
}

function writeInstallation(installation: Installation, folder: string): WrittenInstallation {
  const secrets = new Map([
    ['SESSION_ENCRYPTION_KEY', randomBytes(32).toString('base64')] as const,
    ...installation.secrets,
  ])
  const complete = { ...installation, secrets }
  for (const [name, value = ''] of secrets)
    write(join(folder, SECRETS, secretFileOf(name)), value, 0o600)
  write(join(folder, SETTINGS_FILE), settingsYaml(complete, folder))
  write(join(folder, 'MIGRATION.md'), migrationPage(complete))
  const problems = writeTraefikFiles(complete, folder)
  return { folder, notes: installation.notes, problems }
}

/** Writes the files for Traefik. Returns the problems of a configuration that has none. */
function writeTraefikFiles({ secrets }: Installation, folder: string): readonly string[] {
  // A secret that the operator has to add matters to no file.
  const added = [...secrets].filter(([, value]) => value === undefined)
  const environment = {
    VESTIBULE_CONFIG: join(folder, SETTINGS_FILE),
    ...Object.fromEntries(added.map(([name]) => [name, 'to-be-added'])),
  }
  try {
    for (const [name, text] of traefikFiles(loadConfig(environment)))
      write(join(folder, 'traefik', name), text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems
  }
}

function traefikFiles(config: Config): ReadonlyMap<string, string> {
  const policies = [...config.rules.policies.keys()]
  return new Map([
    ['vestibule.yaml', traefikFile(config, 'vestibule')],
    ...(policies.length > 0
      ? [['policies.yaml', traefikPolicies(config, policies, 'vestibule')] as const]
      : []),
  ])
}

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, text, { flag: 'wx', mode })
}
