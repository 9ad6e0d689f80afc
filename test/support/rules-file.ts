import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'

export type WrittenRules = Awaited<ReturnType<typeof writeRules>>

/** Writes a settings file with these rules, and further settings. */
export const writeRules = async (rules: readonly RuleSource[], settings: object = {}) => {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-rules-'))
  const path = join(folder, 'vestibule.yaml')
  await writeFile(path, stringify({ ...settings, rules }))
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
