import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Connect } from '../doctor/ask.ts'

const USAGE = `usage: vestibule doctor [--json] [OPTION]...
  --json                  {"findings":[{"code","seen","why","remedy"}]}
  --host NAME             a host below a wildcard of PROTECTED_HOSTS, to be examined too
  --path PATH             a path of the apps that needs a session, where / leads to no app
  --connect HOST[:PORT]   asks for the hosts at this address of Traefik, whatever DNS says
  --ca FILE               an authority that browsers of your users trust
  --internal-url URL      the internal listener as Traefik reaches it (this machine's)
  --traefik-config PATH   a file or folder of Traefik's configuration, or of Kubernetes objects
  --traefik-api URL       Traefik's API, such as http://localhost:8080/api
--host and --traefik-config may be given several times.`

export interface Options {
  readonly isJson: boolean
  readonly hosts: readonly string[]
  readonly path: string | undefined
  readonly connect: Connect | undefined
  /** Files with certificates in PEM. */
  readonly authorities: readonly string[]
  readonly internalUrl: string | undefined
  readonly files: readonly string[]
  readonly apis: readonly string[]
}

/** Option that does not exist, or whose value cannot be used; the message says why. */
export class OptionError extends Error {}

/** Parses the options; throws `OptionError`. */
export function parseOptions(args: string[]): Options {
  const values = valuesIn(args)
  const { json: isJson, host: hosts, path, connect, ca, 'traefik-config': files } = values
  const { 'internal-url': internal, 'traefik-api': api } = values
  if (files.includes('')) throw new OptionError('--traefik-config: names no file')
  if (path !== undefined && URL.parse(`http://app.invalid${path}`)?.pathname !== path)
    throw new OptionError('--path: must begin with / and be spelled as browsers send it')
  return {
    isJson,
    hosts,
    path,
    connect: connect === undefined ? undefined : parseConnect(connect),
    authorities: ca === undefined ? [] : [ca],
    internalUrl: internal === undefined ? undefined : webAddress('--internal-url', internal).origin,
    files,
    apis: api === undefined ? [] : [webAddress('--traefik-api', api).href],
  }
}

function valuesIn(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        json: { type: 'boolean', default: false },
        host: { type: 'string', multiple: true, default: [] },
        path: { type: 'string' },
        connect: { type: 'string' },
        ca: { type: 'string' },
        'internal-url': { type: 'string' },
        'traefik-config': { type: 'string', multiple: true, default: [] },
        'traefik-api': { type: 'string' },
      },
    }).values
  } catch (cause) {
    throw new OptionError(`${cause instanceof Error ? cause.message : 'wrong options'}\n${USAGE}`)
  }
}

/** Refuses credentials, which others on the machine could read in the list of processes. */
function webAddress(option: string, text: string): URL {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new OptionError(`${option}: must be an http or https address without credentials`)
  return url
}

function parseConnect(text: string): Connect {
  const url = URL.parse(`http://${text}`)
  if (!url || url.href !== `http://${url.host}/`)
    throw new OptionError('--connect: must be a host, or host:port')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // A URL leaves out port 80, the scheme's own.
  const isGiven = url.port !== '' || text.endsWith(':80')
  return { host, ...(isGiven && { port: Number(url.port || 80) }) }
}

/** Reads a file with certificates; throws `OptionError`. */
export function readAuthority(path: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    // Throws for what is no certificate.
    void new X509Certificate(text)
    return text
  } catch {
    throw new OptionError(`--ca: ${path} cannot be read as a certificate in PEM`)
  }
}
