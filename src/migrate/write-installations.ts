import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import type { Installation, Note } from './installation.ts'
import { migrationPage } from './migration-page.ts'
import { MigrationError } from './old-configuration.ts'
import { SECRETS, secretFileOf, settingsYaml } from './settings-yaml.ts'
import { traefikFiles } from './traefik-files.ts'

/** Written installation, and what is wrong with it. */
export interface WrittenInstallation {
  readonly folder: string
  readonly notes: readonly Note[]
  /** Faults that `check-config` would find beside secrets that the operator has to add. */
  readonly problems: readonly string[]
}

const SETTINGS_FILE = 'vestibule.yaml'

/**
 * Writes the installations into a new folder that nobody else may read. Throws `MigrationError` where there is one already
 * or none can be made, and leaves nothing behind where it fails later.
 */
export function writeInstallations(
  installations: readonly Installation[],
  output: string,
): readonly WrittenInstallation[] {
  makeFolder(output)
  try {
    return installations.map((each) => writeInstallation(each, join(output, each.name)))
  } catch (error) {
    rmSync(output, { recursive: true })
    throw error
  }
}

function makeFolder(path: string): void {
  // The page names the folder in commands, which a line break would end.
  if (/\p{Cc}/u.test(path))
    throw new MigrationError(['the folder has a control character in its path'])
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    throw new MigrationError([`${path} ${FAULTS[code] ?? `cannot be made: ${code}`}`])
  }
}

const FAULTS: Readonly<Record<string, string>> = {
  EEXIST: 'is there already, and nothing in it was changed: name a new folder',
  ENOENT: 'cannot be made, because the folder above it does not exist',
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
  const problems = writeTraefikFiles(complete, folder)
  write(join(folder, 'MIGRATION.md'), migrationPage(complete, folder, problems))
  return { folder, notes: installation.notes, problems }
}

/** Writes the files for Traefik. Returns the problems of a configuration that has none. */
function writeTraefikFiles(installation: Installation, folder: string): readonly string[] {
  // A secret that the operator has to add matters to no file.
  const added = [...installation.secrets].filter(([, value]) => value === undefined)
  const environment = {
    VESTIBULE_CONFIG: join(folder, SETTINGS_FILE),
    ...Object.fromEntries(added.map(([name]) => [name, 'to-be-added'])),
  }
  try {
    for (const [path, text] of traefikFiles(loadConfig(environment), installation))
      write(join(folder, path), text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems
  }
}

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, text, { flag: 'wx', mode })
}
