import { parseArgs } from 'node:util'
import type { Environment } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { EXAMINATIONS } from '../doctor/examinations.ts'
import type { Finding } from '../doctor/finding.ts'
import { toSafeJson, toSafeLines } from './terminal-text.ts'

const USAGE = `usage: vestibule doctor [--json]
  --json        {"findings":[{"code","seen","why","remedy"}]}
`

/**
 * Examines the installation of this configuration from outside. Returns 0 = no findings, 1 = findings, 2 = usage error. Throws
 * `ConfigError` when the configuration cannot be used.
 */
export async function doctor(environment: Environment, ...args: string[]): Promise<number> {
  const options = parseOptions(args)
  if (!options) {
    process.stderr.write(USAGE)
    return 2
  }
  const config = loadConfig(environment)
  const findings: Finding[] = []
  for (const { title, examine } of EXAMINATIONS) {
    process.stderr.write(`examining ${title}\n`)
    findings.push(...(await examine({ config })))
  }
  process.stdout.write(options.isJson ? toSafeJson({ findings }) : describe(findings))
  return findings.length === 0 ? 0 : 1
}

function describe(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'No findings.\n'
  return toSafeLines(
    findings.flatMap(({ code, seen, why, remedy }) => [
      `${code}: ${seen}`,
      `  why it matters: ${why}`,
      `  remedy: ${remedy}`,
    ]),
  )
}

function parseOptions(args: string[]): { readonly isJson: boolean } | undefined {
  try {
    const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } })
    return { isJson: values.json }
  } catch {
    return undefined
  }
}
