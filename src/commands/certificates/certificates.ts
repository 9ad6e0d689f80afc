import { X509Certificate } from 'node:crypto'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Environment } from '../../config/config.ts'
import {
  type AlternativeName,
  alternativeNamesOf,
  type CertificateAndKey,
  CertificateError,
  createAuthority,
  openAuthority,
} from './authority.ts'
import { type CertificateFolder, openCertificateFolder } from './folder.ts'
import { toAlternativeName, withoutCopies } from './names.ts'

const USAGE = `usage: vestibule certificates DIR [--name=NAME]... [--days=DAYS]
       vestibule certificates DIR --renew [--name=NAME]... [--days=DAYS]
       vestibule certificates DIR --client=CLIENT [--renew] [--days=DAYS]
Makes an authority (ca.crt, ca.key) and a certificate of the internal listener (tls.crt, tls.key) in a folder.
  --name=NAME      a further name or address of the listener, beside vestibule, localhost, 127.0.0.1 and ::1
  --days=DAYS      days until the certificate ends, 1 to 3650 (397); the authority ends after 3650
  --client=CLIENT  a certificate CLIENT.crt with CLIENT.key by the authority of the folder, for a client of the
                   listener such as traefik or prometheus (INTERNAL_TLS_CLIENT_CA_FILE)
  --renew          puts a new certificate of the authority in the place of the one that is there, with its names
No file is overwritten without --renew, and those of the authority never are.
`

const AUTHORITY = ['ca.crt', 'ca.key'] as const
const AUTHORITY_DAYS = 3650
const MAX_DAYS = 3650
const DEFAULT_DAYS = '397'
const OWN_NAMES = ['vestibule', 'localhost', '127.0.0.1', '::1']
const CLIENT = /^(?!(?:ca|tls)$)[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/

/** Makes and renews the certificates of the internal listener. Returns 0 = done, 1 = failed, 2 = usage error. */
export async function certificates(_: Environment, ...args: string[]): Promise<number> {
  const asked = parseOptions(args)
  if (typeof asked === 'string') {
    process.stderr.write(`${USAGE}${asked === '' ? '' : `vestibule: ${asked}\n`}`)
    return 2
  }
  try {
    const isFirst = !asked.isRenewal && asked.client === undefined
    using folder = openCertificateFolder(asked.path, isFirst)
    process.stdout.write(await (isFirst ? create : issue)(asked, folder))
    return 0
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    process.stderr.write(`vestibule: ${error.message}\n`)
    return 1
  }
}

interface Asked {
  readonly path: string
  readonly names: readonly AlternativeName[]
  readonly days: number
  readonly client: string | undefined
  readonly isRenewal: boolean
}

/** Makes an authority and the first certificate of the listener. */
async function create({ path, names, days }: Asked, folder: CertificateFolder): Promise<string> {
  const there = [...AUTHORITY, 'tls.crt', 'tls.key'].filter(folder.has)
  if (there.length > 0) {
    const hint = AUTHORITY.every(folder.has)
      ? '; --renew makes a new certificate of its authority'
      : ''
    throw new CertificateError(`${path} has ${there.join(', ')}: no file is overwritten${hint}`)
  }
  const authority = await createAuthority(AUTHORITY_DAYS)
  const { issue } = await openAuthority(authority)
  const all = withoutCopies([...toNames(OWN_NAMES), ...names])
  const server = await issue({ commonName: 'vestibule', names: all, usage: 'server', days })
  folder.add({ ...filesOf('ca', authority), ...filesOf('tls', server) })
  return `${describe(path, 'ca', authority)}${describe(path, 'tls', server)}
Vestibule:  INTERNAL_TLS_CERT_FILE=${resolve(path, 'tls.crt')}
            INTERNAL_TLS_KEY_FILE=${resolve(path, 'tls.key')}
Traefik:    ca.crt, which the middleware of vestibule render traefik names
Nobody:     ca.key, which only this command needs
`
}

/** Issues a certificate of the folder's authority: of the listener again, or of a client. */
async function issue(asked: Asked, folder: CertificateFolder): Promise<string> {
  const { path, days, client, isRenewal } = asked
  const missing = AUTHORITY.filter((name) => !folder.has(name))
  if (missing.length > 0)
    throw new CertificateError(
      `${path} has no ${missing.join(' and no ')}: there is no authority to issue by`,
    )
  const authority = await openAuthority({
    certificate: folder.read(AUTHORITY[0]),
    privateKey: folder.read(AUTHORITY[1]),
  })
  const base = client ?? 'tls'
  const there = [`${base}.crt`, `${base}.key`].filter(folder.has)
  if (there.length > 0 && !isRenewal)
    throw new CertificateError(
      `${path} has ${there.join(', ')}: no file is overwritten without --renew`,
    )
  const issued = await authority.issue({
    commonName: client ?? 'vestibule',
    names: client === undefined ? serverNames(asked, folder) : toNames([client]),
    usage: client === undefined ? 'server' : 'client',
    days,
  })
  // Writes the key first; a service that reads between the two keeps the old pair and reads again.
  folder.replace(filesOf(base, issued))
  return describe(path, base, issued)
}

/** Returns the names of the certificate that is renewed, with those that are added. */
function serverNames({ names }: Asked, folder: CertificateFolder): readonly AlternativeName[] {
  const earlier = folder.has('tls.crt') ? namesOf(folder.read('tls.crt')) : toNames(OWN_NAMES)
  return withoutCopies([...earlier, ...names])
}

function namesOf(certificate: string): readonly AlternativeName[] {
  return toNames(alternativeNamesOf(certificate, 'tls.crt').map(({ value }) => value))
}

function filesOf(base: string, { certificate, privateKey }: CertificateAndKey) {
  return { [`${base}.key`]: privateKey, [`${base}.crt`]: certificate }
}

function describe(path: string, base: string, { certificate }: CertificateAndKey): string {
  const { subject, validToDate } = new X509Certificate(certificate)
  const names = namesOf(certificate)
  const holder = names.length > 0 ? names.map(({ value }) => value).join(', ') : subject
  return `${join(path, base)}.crt, ${base}.key: ${holder}, until ${validToDate.toISOString().slice(0, 10)}\n`
}

function toNames(texts: readonly string[]): readonly AlternativeName[] {
  return texts.map(toAlternativeName).filter((name) => name !== undefined)
}

/** Returns the options, or what is wrong with them. */
function parseOptions(args: string[]): Asked | string {
  const parsed = parse(args)
  const [path] = parsed?.positionals ?? []
  if (!parsed || !path || parsed.positionals.length > 1) return ''
  const { name: texts, days, client, renew: isRenewal } = parsed.values
  const problem = problemOf(texts, days, client)
  return problem ?? { path, names: toNames(texts), days: Number(days), client, isRenewal }
}

function problemOf(
  names: readonly string[],
  days: string,
  client: string | undefined,
): string | undefined {
  const unusable = names.find((name) => !toAlternativeName(name))
  if (unusable !== undefined)
    return `--name=${unusable} is not the name or the address of one machine or service`
  if (!/^[1-9]\d{0,3}$/.test(days) || Number(days) > MAX_DAYS)
    return `--days=${days} is not a whole number from 1 to ${MAX_DAYS}`
  if (client === undefined) return undefined
  if (names.length > 0) return '--name is for the certificate of the listener'
  return CLIENT.test(client)
    ? undefined
    : `--client=${client} is not a name of a-z, 0-9 and - for two files, other than ca and tls`
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        name: { type: 'string', multiple: true, default: [] },
        days: { type: 'string', default: DEFAULT_DAYS },
        client: { type: 'string' },
        renew: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
  } catch {
    return undefined
  }
}
