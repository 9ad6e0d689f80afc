import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { RuleSet } from '../../src/core/access/rule-set.ts'

export const CLIENT_SECRET = 'the-client-secret-nobody-prints'

/** Smallest configuration that can be used. */
export const base = {
  PROTECTED_HOSTS: 'app.example.com',
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
} as const satisfies Environment

/** Returns the problems of a configuration; none when it can be used. */
export function problemsOf(environment: Environment): readonly string[] {
  try {
    loadConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** The same with a client secret. */
export const confidential = { ...base, OIDC_CLIENT_SECRET: CLIENT_SECRET } as const

/** Returns the problems of changes to a configuration with a client secret. */
export function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...confidential, ...changes })
}

/** Reads settings written as `PORT=0 HOST=::1`; a value ends where the next name begins. */
export function settingsIn(text: string): Environment {
  const settings = text.split(/\s+(?=[A-Z\d_]+=)/).map((each) => each.split(/=(.*)/s).slice(0, 2))
  return Object.fromEntries(settings) as Environment
}

/** Makes rows of lines of any text, each followed by a line with the pattern of the problem that it is. */
export function problemRows(
  template: TemplateStringsArray,
  ...values: readonly string[]
): [string, RegExp][] {
  const lines = String.raw(template, ...values)
    .trim()
    .split(/\n\s*/)
  return lines.flatMap((line, at): [string, RegExp][] =>
    at % 2 ? [] : [[line, new RegExp(lines[at + 1] ?? '')]],
  )
}

/** Makes a folder for the tests of a file. Returns how to write a file there, resolving with its path. */
export function useFolder() {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vestibule-config-'))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const pathOf = (name: string) => join(folder, name)
  async function write(text: string | Uint8Array, name: string = randomUUID()): Promise<string> {
    await writeFile(pathOf(name), text)
    return pathOf(name)
  }
  return { pathOf, write }
}

/** Makes a folder for settings files, each of which is used beside the smallest configuration. */
export function useSettingsFile() {
  const { write } = useFolder()
  async function withFile(yaml: string, changes: Environment = {}): Promise<Environment> {
    return { ...confidential, VESTIBULE_CONFIG: await write(yaml), ...changes }
  }
  async function rulesOf(...given: Parameters<typeof withFile>): Promise<RuleSet> {
    return loadConfig(await withFile(...given)).rules
  }
  return { withFile, rulesOf }
}
