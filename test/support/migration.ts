import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { parse } from 'yaml'
import { migrate } from '../../src/commands/migrate.ts'
import { runCommand } from './command.ts'

/** Input of one run; the names of files are relative to the folder of the test. */
export interface MigrationInput {
  readonly config?: string
  readonly alpha?: string
  readonly env?: string
  readonly flags?: readonly string[]
}

/** Makes a folder for each test, in which `migrate SERVICE` reads its input and writes `new`. */
export function useMigration(service: string) {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vestibule-migrate-'))
  })
  afterEach(() => rm(folder, { recursive: true }))
  const pathOf = (name: string) => join(folder, name)
  const write = async (name: string, text: string) => {
    await writeFile(pathOf(name), text)
    return pathOf(name)
  }

  async function run({ config, alpha, env, flags = [] }: MigrationInput) {
    const given = [
      ...(config === undefined ? [] : ['--config', await write('old.config', config)]),
      ...(alpha === undefined ? [] : ['--alpha-config', await write('alpha.yaml', alpha)]),
      ...(env === undefined ? [] : ['--env', await write('old.env', env)]),
    ]
    return runIn(given, flags)
  }

  async function runIn(given: readonly string[], flags: readonly string[]) {
    const out = pathOf('new')
    const { code, output } = await runCommand(() =>
      migrate(service, ...given, '--out', out, '--', ...flags),
    )
    const read = (name: string) => readFileSync(join(out, name), 'utf8')
    const files = () => readdirSync(out, { recursive: true }).map(String)
    return {
      code,
      output,
      out,
      read,
      /** Everything written but the files of secrets, and everything printed. */
      told: () =>
        [
          output,
          ...files().flatMap((each) => (/\.(?:yaml|md)$/.test(each) ? read(each) : [])),
        ].join('\n'),
      config: () => parse(read('vestibule.yaml')) as WrittenConfig,
    }
  }

  return { run, runIn, pathOf, write }
}

/** Settings file as far as tests look at it. */
export interface WrittenConfig {
  readonly [key: string]: unknown
  readonly rules: readonly Readonly<Record<string, unknown>>[]
}

/** Settings that a service of a test needs instead of its defaults, so that the file alone decides. */
export const FILE_ALONE = {
  PROTECTED_HOSTS: '',
  ALLOW_ANY_USER: '',
  OIDC_ISSUER_URL: '',
  OIDC_CLIENT_ID: '',
  OIDC_CLIENT_SECRET: '',
  OIDC_SCOPES: '',
} as const
