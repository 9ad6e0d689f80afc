import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { parseArgs } from 'node:util'
import packageJson from '../../package.json' with { type: 'json' }
import type { Config, Environment } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import { type Connect, createAsk } from '../doctor/ask.ts'
import type { Patient } from '../doctor/examination.ts'
import { examinationsOf, runExamination } from '../doctor/examinations.ts'
import { type Finding, finding } from '../doctor/finding.ts'
import { findPlaces } from '../doctor/places.ts'
import { readTraefikApi } from '../doctor/traefik/read-api.ts'
import { readTraefikFiles } from '../doctor/traefik/read-files.ts'
import { internalListeners, internalTlsFiles } from './internal-listener.ts'
import { adminTls } from './internal-trust.ts'
import { toSafeJson, toSafeLines } from './terminal-text.ts'

const USAGE = `usage: vestibule doctor [--json] [OPTION]...
  --json                  {"findings":[{"code","seen","why","remedy"}]}
  --host NAME             a host below a wildcard of PROTECTED_HOSTS, to be examined too
  --connect HOST[:PORT]   asks for the hosts at this address of Traefik, whatever DNS says
  --ca FILE               an authority that browsers of your users trust
  --internal-url URL      the internal listener as Traefik reaches it (this machine's)
  --traefik-config PATH   a file or folder of Traefik's configuration, or of Kubernetes objects
  --traefik-api URL       Traefik's API, such as http://localhost:8080/api
--host and --traefik-config may be given several times.
`

/**
 * Examines the installation of this configuration from outside. Returns 0 = no findings, 1 = findings, 2 = usage error.
 * A configuration that cannot be used is a finding too.
 */
export async function doctor(environment: Environment, ...args: string[]): Promise<number> {
  const options = parseOptions(args)
  if (!options) {
    process.stderr.write(USAGE)
    return 2
  }
  const findings = await examine(environment, options)
  process.stdout.write(options.isJson ? toSafeJson({ findings }) : describe(findings))
  return findings.length === 0 ? 0 : 1
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
    throw new ConfigError(
      foreign.map((name) => `--host: ${name} is below no wildcard of PROTECTED_HOSTS`),
    )
  for (const { hostname } of untried)
    note(`*.${hostname} was not examined: name a host below it with --host`)
  // Taken before the provider's authority is added, which browsers do not trust.
  const trusted = [...getCACertificates('default'), ...options.ca.map(readAuthority)]
  const ask = createAsk({ tls: { ca: trusted }, connect: options.connect })
  const { OIDC_CA_FILE: caFile } = config.settings
  if (caFile !== undefined)
    setDefaultCACertificates([...getCACertificates('default'), readFileSync(caFile, 'utf8')])
  const plain = createAsk()
  return {
    config,
    places,
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

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new ConfigError([`--ca: ${path} cannot be read`])
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

interface Options {
  readonly isJson: boolean
  readonly hosts: readonly string[]
  readonly connect: Connect | undefined
  readonly ca: readonly string[]
  readonly internalUrl: string | undefined
  readonly files: readonly string[]
  readonly apis: readonly string[]
}

function parseOptions(args: string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        json: { type: 'boolean', default: false },
        host: { type: 'string', multiple: true, default: [] },
        connect: { type: 'string' },
        ca: { type: 'string' },
        'internal-url': { type: 'string' },
        'traefik-config': { type: 'string', multiple: true, default: [] },
        'traefik-api': { type: 'string' },
      },
    })
    const { json: isJson, host: hosts, connect, ca, 'traefik-config': files } = values
    const { 'internal-url': internal, 'traefik-api': api } = values
    const given = [
      ...hosts,
      ...files,
      ...[connect, ca, internal, api].filter((each) => each !== undefined),
    ]
    if (given.includes('') || ![internal, api].every(isWeb)) return undefined
    return {
      isJson,
      hosts,
      connect: connect === undefined ? undefined : parseConnect(connect),
      ca: ca === undefined ? [] : [ca],
      internalUrl: internal === undefined ? undefined : new URL(internal).origin,
      files,
      apis: api === undefined ? [] : [api],
    }
  } catch {
    return undefined
  }
}

function isWeb(url: string | undefined): boolean {
  return url === undefined || /^https?:$/.test(URL.parse(url)?.protocol ?? '')
}

function parseConnect(text: string): Connect {
  const { hostname, port } = new URL(`http://${text}`)
  const host = hostname.replace(/^\[|\]$/g, '')
  // A URL leaves out port 80, the scheme's own.
  const isGiven = port !== '' || text.endsWith(':80')
  return { host, ...(isGiven && { port: Number(port || 80) }) }
}
