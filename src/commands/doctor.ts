import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import packageJson from '../../package.json' with { type: 'json' }
import type { Config, Environment } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import { createAsk } from '../doctor/ask.ts'
import type { Patient } from '../doctor/examination.ts'
import { examinationsOf, runExamination } from '../doctor/examinations.ts'
import { type Finding, finding } from '../doctor/finding.ts'
import { findPlaces } from '../doctor/places.ts'
import { readTraefikApi } from '../doctor/traefik/read-api.ts'
import { readTraefikFiles } from '../doctor/traefik/read-files.ts'
import { OptionError, type Options, parseOptions, readAuthority } from './doctor-options.ts'
import { internalListeners, internalTlsFiles } from './internal-listener.ts'
import { adminTls } from './internal-trust.ts'
import { toSafeJson, toSafeLines } from './terminal-text.ts'

/**
 * Examines the installation of this configuration from outside. Returns 0 = no findings, 1 = findings, 2 = usage error.
 * A configuration that cannot be used is a finding too.
 */
export async function doctor(environment: Environment, ...args: string[]): Promise<number> {
  try {
    const options = parseOptions(args)
    const findings = await examine(environment, options)
    process.stdout.write(options.isJson ? toSafeJson({ findings }) : describe(findings))
    return findings.length === 0 ? 0 : 1
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    process.stderr.write(toSafeLines(`vestibule: ${error.message}`.split('\n')))
    return 2
  }
}

async function examine(environment: Environment, options: Options): Promise<readonly Finding[]> {
  try {
    const config = loadConfig(environment)
    const patient = createPatient(config, environment, options)
    const findings: Finding[] = []
    for (const examination of examinationsOf(patient)) {
      say(`examining ${examination.title}`)
      findings.push(...(await runExamination(examination, patient)))
    }
    return findings
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map((problem) => finding('configuration', problem))
  }
}

function say(text: string): void {
  process.stderr.write(toSafeLines([text]))
}

function createPatient(config: Config, environment: Environment, options: Options): Patient {
  const { places, untried, foreign } = findPlaces(config, options.hosts)
  const note = (text: string) => say(`note: ${text}`)
  if (foreign.length > 0)
    throw new OptionError(`--host: PROTECTED_HOSTS does not have ${foreign.join(', ')}`)
  for (const { hostname } of untried)
    note(`*.${hostname} was not examined: name a host below it with --host`)
  // Taken before the provider's authority is added, which browsers do not trust.
  const trusted = [...getCACertificates('default'), ...options.authorities.map(readAuthority)]
  const ask = createAsk({ tls: { ca: trusted }, connect: options.connect })
  const { OIDC_CA_FILE: caFile } = config.settings
  if (caFile !== undefined)
    setDefaultCACertificates([...getCACertificates('default'), readFileSync(caFile, 'utf8')])
  const plain = createAsk()
  return {
    config,
    places,
    path: options.path,
    ask,
    askProvider: plain,
    internal: {
      origins: options.internalUrl ? [options.internalUrl] : internalListeners(environment),
      ask: createAsk({ tls: adminTls(internalTlsFiles(environment), {}) }),
    },
    traefik: [
      ...options.files.map((name) => ({ name, read: () => readTraefikFiles(name) })),
      ...options.apis.map((name) => ({ name, read: () => readTraefikApi(name, plain) })),
    ],
    versions: { own: packageJson.version, node: process.versions.node },
    note,
  }
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
