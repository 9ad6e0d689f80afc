import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseEnvFile } from '../migrate/env-file.ts'
import type { NoteKind } from '../migrate/installation.ts'
import { MigrationError, type OldConfiguration } from '../migrate/old-configuration.ts'
import { SOURCES } from '../migrate/sources.ts'
import { type WrittenInstallation, writeInstallations } from '../migrate/write-installations.ts'
import { toSafeLines } from './terminal-text.ts'

const USAGE = `usage: vestibule migrate SERVICE [--config FILE] [--alpha-config FILE] [--env FILE] --out DIR [-- FLAGS]
  SERVICE         the service that is left: ${Object.keys(SOURCES).join(', ')}
  --config FILE   its configuration file; for traefikoidc the file with its middlewares
  --alpha-config FILE  the alpha configuration of oauth2-proxy
  --env FILE      its environment variables, one NAME=VALUE a line, as Docker Compose reads them
  --out DIR       a new folder for the settings, secrets and Traefik files, and for MIGRATION.md, which says what
                  has become of each option
  FLAGS           its command line
`

/** Carries the configuration of another service over. Returns 0 = can be started, 1 = not yet or not at all, 2 = usage error. */
export async function migrate(...args: string[]): Promise<number> {
  const asked = parseOptions(args)
  if (!asked) {
    process.stderr.write(USAGE)
    return 2
  }
  try {
    const read = SOURCES[asked.service]
    const written = writeInstallations(read?.(readOld(asked)) ?? [], resolve(asked.out))
    process.stdout.write(toSafeLines(written.flatMap(describe)))
    return written.every(isReady) ? 0 : 1
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error
    process.stderr.write(toSafeLines(error.problems.map((problem) => `vestibule: ${problem}`)))
    return 1
  }
}

interface MigrateOptions {
  readonly service: string
  readonly out: string
  readonly config: string | undefined
  readonly alphaConfig: string | undefined
  readonly env: string | undefined
  readonly flags: readonly string[]
}

function parseOptions(args: readonly string[]): MigrateOptions | undefined {
  const end = args.indexOf('--')
  const own = end === -1 ? args : args.slice(0, end)
  try {
    const { values, positionals } = parseArgs({
      args: [...own],
      options: {
        config: { type: 'string' },
        'alpha-config': { type: 'string' },
        env: { type: 'string' },
        out: { type: 'string' },
      },
      allowPositionals: true,
    })
    const [service = '', ...rest] = positionals
    const { config, 'alpha-config': alphaConfig, env, out = '' } = values
    const isKnown = Object.hasOwn(SOURCES, service) && rest.length === 0
    if (!isKnown || out === '' || [config, alphaConfig, env].includes('')) return undefined
    return { service, out, config, alphaConfig, env, flags: end === -1 ? [] : args.slice(end + 1) }
  } catch {
    return undefined
  }
}

function readOld({ config, alphaConfig, env, flags }: MigrateOptions): OldConfiguration {
  const file = (path: string | undefined) =>
    path === undefined ? undefined : { path, text: readText(path) }
  return {
    environment: env === undefined ? new Map() : parseEnvFile(readText(env), env),
    file: file(config),
    alphaFile: file(alphaConfig),
    flags,
    readFile: readText,
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new MigrationError([`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`])
  }
}

function isReady({ notes, problems }: WrittenInstallation): boolean {
  return problems.length === 0 && !notes.some(({ kind }) => kind === 'todo')
}

function describe({ folder, notes, problems }: WrittenInstallation): readonly string[] {
  const told = (wanted: NoteKind, title: string) =>
    notes
      .filter(({ kind }) => kind === wanted)
      .map(({ option, text }) => `  ${title}: ${option}: ${text}`)
  return [
    `${folder}: written; read MIGRATION.md there before the start`,
    ...told('wider', 'wider than before'),
    ...told('todo', 'to do'),
    ...problems.map((problem) => `  cannot be used yet: ${problem}`),
  ]
}
