import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'

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

/** Makes a folder for the tests of a file. Returns how to write a file there, resolving with its path. */
export function useFolder() {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vestibule-config-'))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const pathOf = (name: string) => join(folder, name)
  async function write(text: string, name: string = randomUUID()): Promise<string> {
    await writeFile(pathOf(name), text)
    return pathOf(name)
  }
  return { pathOf, write }
}
