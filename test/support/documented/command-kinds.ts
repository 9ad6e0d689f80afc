import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { USAGE as BENCH_USAGE, parseOptions as parseBenchOptions } from '../../../bench/options.ts'
import packageJson from '../../../package.json' with { type: 'json' }
import { type SettingName, settings } from '../../../src/config/settings/settings.ts'
import { runVestibule } from './run-vestibule.ts'
import type { ShellCommand } from './shell-commands.ts'

/** Folder of the repository in which the commands of a page are, and the folder for what they write. */
export interface Place {
  cwd: string
  readonly sandbox: string
}

type Problem = string | undefined
type Check = (args: readonly string[], at: Place) => Problem | Promise<Problem>

/** Commands by their program, each of which returns what is wrong with its arguments. */
const KINDS: Readonly<Record<string, Check>> = {
  npm: checkNpm,
  vestibule: (args, { sandbox }) => runVestibule(args, sandbox),
  docker: checkDocker,
  kubectl: checkKubectl,
  helm: checkHelm,
  terraform: checkTerraform,
  curl: (args, { sandbox }) =>
    misused('curl', [...args, '--proxy', NOWHERE], { sandbox, cwd: sandbox }),
  promtool: (args, at) => runProgram('promtool', args, at),
  openssl: (args, { sandbox }) =>
    misused(
      'openssl',
      args.map((arg) => (args[args.indexOf(arg) - 1] === '-connect' ? '127.0.0.1:9' : arg)),
      { sandbox, cwd: sandbox },
    ),
  'redis-cli': ([...args]) =>
    args.some((arg) => /^[A-Z][A-Z]+$/i.test(arg) || arg.startsWith('--'))
      ? undefined
      : 'names no command',
  cd: ([folder = ''], at) => {
    at.cwd = join(at.cwd, folder)
    return existsSync(at.cwd) ? undefined : `there is no folder ${at.cwd}`
  },
}

/** Programs of which only the files of this repository are checked. */
const PLAIN =
  'aws base64 cat chmod chown cp cut date diff echo exit export find git grep head install jq ls mkdir mktemp mv printf read rm sed set sleep sort ss sudo systemctl tail tar tee test tr true umask unset wc wget xargs'.split(
    ' ',
  )

/** Returns what is wrong with a command of a page, by running it where that is possible. */
export async function problemOf(command: ShellCommand, at: Place): Promise<Problem> {
  const { words, assigned, written } = command
  for (const file of written.filter((each) => /^[\w.-]+$/.test(each)))
    writeFileSync(join(at.sandbox, file), '', { flag: 'a' })
  const [program, ...args] = words[0] === 'timeout' ? words.slice(2) : words
  if (program === undefined || program === 'npm') {
    const wrong = Object.entries(assigned).flatMap(([name, value]) => faultOfSetting(name, value))
    if (program === undefined || wrong.length > 0) return wrong[0]
  }
  const isKind = (arg: string): boolean => program === 'kubectl' && /^deploy\/[\w-]+$/.test(arg)
  const missing = args.find(
    (arg) => isOfRepository(arg) && !isKind(arg) && !existsSync(join(at.cwd, arg)),
  )
  if (missing !== undefined) return `there is no ${missing}`
  if (PLAIN.includes(program)) return undefined
  return Object.hasOwn(KINDS, program)
    ? KINDS[program]?.(args, at)
    : `${program}: nobody knows how to check it`
}

const isOfRepository = (arg: string): boolean =>
  /^(?:\.{1,2}\/)*(?:deploy|docs|src|test|demo|bench|stand-ins)\/[\w./-]+$/.test(arg)

function faultOfSetting(name: string, value: string): string[] {
  if (name.endsWith('_FILE') || /[…$]|xxx/.test(value)) return []
  const schema = settings.shape[name as SettingName] as
    | (typeof settings.shape)[SettingName]
    | undefined
  // Settings of other systems stand in blocks of their own kinds.
  if (!schema) return /^COMPOSE_|[a-z]/.test(name) ? [] : [`there is no setting ${name}`]
  const parsed = schema.safeParse(value)
  return parsed.success ? [] : [`${name}: ${parsed.error.issues[0]?.message}`]
}

function checkNpm(
  [command = '', ...args]: readonly string[],
  at: Place,
): Problem | Promise<Problem> {
  if (['ci', 'test', 'start'].includes(command)) return undefined
  const [script = '', ...rest] = args.filter((arg) => arg !== '--silent' && arg !== 'run')
  if (command !== 'run' && !args.includes('run')) return `npm ${command} is not known`
  if (!Object.hasOwn(packageJson.scripts, script)) return `there is no script ${script}`
  const own = rest[0] === '--' ? rest.slice(1) : rest
  if (script === 'vestibule') return runVestibule(own, at.sandbox)
  if (script !== 'bench') return own.length === 0 ? undefined : `${script} takes no arguments`
  parseBenchOptions(own, /sections to run: (.*)/.exec(BENCH_USAGE)?.[1]?.split(', ') ?? [])
  return undefined
}

const COMPOSE_FILES = ['compose.yml', 'docker-compose.yml']
const OF_SERVICES = 'up start stop restart logs exec run build rm kill pull'.split(' ')
const OF_ALL = 'ps down config images top version ls'.split(' ')

async function checkDocker(
  [command = '', ...args]: readonly string[],
  at: Place,
): Promise<Problem> {
  if (command === 'compose') return checkCompose(args, at)
  if (['build', 'push', 'tag', 'pull', 'login', 'inspect', 'ps', 'logs', 'stop'].includes(command))
    return undefined
  if (command !== 'run' && command !== 'exec') return `docker ${command} is not known`
  const image = args.findIndex((arg, index) => !arg.startsWith('-') && !takesValue(args[index - 1]))
  return innerProblem(args.slice(image + 1), at)
}

const takesValue = (flag = ''): boolean =>
  flag.startsWith('-') &&
  !/=|^(?:--rm|-it|-i|-t|-d|-T|--read-only|--init|--build|--wait|-v)$/.test(flag)

async function checkCompose(args: readonly string[], at: Place): Promise<Problem> {
  const command = args.findIndex(
    (arg, index) => !arg.startsWith('-') && !takesValue(args[index - 1]),
  )
  const named = args.filter((_, index) => index < command && args[index - 1] === '-f')
  const files =
    named.length > 0 ? named : COMPOSE_FILES.filter((it) => existsSync(join(at.cwd, it)))
  if (files.length === 0) return `there is no file for Compose in ${at.cwd}`
  const services = new Set(files.flatMap((file) => servicesOf(join(at.cwd, file))))
  const [name = '', ...rest] = args.slice(command)
  if (OF_ALL.includes(name)) return undefined
  if (!OF_SERVICES.includes(name)) return `docker compose ${name} is not known`
  const operands = rest.filter((arg, index) => !arg.startsWith('-') && !takesValue(rest[index - 1]))
  const isOne = name === 'exec' || name === 'run'
  const stranger = (isOne ? operands.slice(0, 1) : operands).find((it) => !services.has(it))
  if (stranger !== undefined) return `there is no service ${stranger}`
  return isOne ? innerProblem(operands.slice(1), at) : undefined
}

function servicesOf(file: string): readonly string[] {
  const { services } = parse(readFileSync(file, 'utf8'), { merge: true }) as { services: object }
  return Object.keys(services)
}

/** A command in a container; those of other images are not known here. */
async function innerProblem([program, ...args]: readonly string[], at: Place): Promise<Problem> {
  return program === 'vestibule' ? runVestibule(args, at.sandbox) : undefined
}

/** Address without a listener, so that programs end as soon as they have understood their arguments. */
const NOWHERE = 'http://127.0.0.1:9'

/** Files in the folder of whoever reads the page, such as a secret. */
const OWN_FILE = /^--(?:from-file|from-env-file|cert|key)=([\w.-]+)$/gm

async function checkKubectl(args: readonly string[], at: Place): Promise<Problem> {
  for (const [, own = ''] of args.join('\n').matchAll(OWN_FILE))
    writeFileSync(join(at.sandbox, own), '', { flag: 'a' })
  const folder = args[args.findIndex((arg) => arg === '-k' || arg === 'kustomize') + 1] ?? ''
  const isFolder = args.some((arg) => arg === '-k' || arg === 'kustomize')
  const wrong = isFolder ? await runProgram('kubectl', ['kustomize', folder], at) : undefined
  if (wrong !== undefined || args.includes('kustomize')) return wrong
  const end = args.indexOf('--')
  return (
    (await misused('kubectl', [`--server=${NOWHERE}`, ...args], at)) ??
    (end === -1 ? undefined : innerProblem(args.slice(end + 1), at))
  )
}

const NOT_OF_TEMPLATE = /^--(?:install|wait|atomic|rollback-on-failure|create-namespace)$/

/** The chart of this repository is rendered; charts of others are not fetched. */
async function checkHelm(args: readonly string[], at: Place): Promise<Problem> {
  const [command = '', operand = ''] = args
  if (command === 'repo') return ['add', 'update'].includes(operand) ? undefined : 'is not known'
  if (args.some((arg) => /^(?:oci|https):/.test(arg))) return undefined
  const isChart = (arg: string): boolean => existsSync(join(at.cwd, arg, 'Chart.yaml'))
  if (!args.some(isChart) || command === 'lint')
    return misused('helm', [...args, '--kube-apiserver', NOWHERE], at)
  const kept = args.slice(1).filter((arg) => !NOT_OF_TEMPLATE.test(arg))
  return runProgram('helm', ['template', ...kept], at)
}

function checkTerraform(args: readonly string[], at: Place): Problem {
  const folder = args.find((arg) => arg.startsWith('-chdir='))?.slice('-chdir='.length) ?? '.'
  if (globSync('*.tf', { cwd: join(at.cwd, folder) }).length === 0) return `no *.tf in ${folder}`
  const command = args.find((arg) => !arg.startsWith('-')) ?? ''
  const known = 'init plan apply destroy output validate fmt import state'.split(' ')
  return known.includes(command) ? undefined : `terraform ${command} is not known`
}

/** A file that a block of the page holds, or an earlier command has written, is in the sandbox of the page. */
const located = (arg: string, at: Place): string => {
  const [, option = '', path = arg] = /^(--[\w-]+=)(.*)$/.exec(arg) ?? []
  const isInSandbox = !existsSync(join(at.cwd, path)) && existsSync(join(at.sandbox, path))
  return isInSandbox ? `${option}${join(at.sandbox, path)}` : arg
}

async function runProgram(name: string, args: readonly string[], at: Place): Promise<Problem> {
  const { code, output } = await outputOf(name, args, at)
  return code === 0 ? undefined : `ends with ${code}: ${output.slice(0, 300)}`
}

const USAGE =
  /[Uu]nknown (?:shorthand )?(?:flag|command|option)|is unknown|invalid argument|flag needs|accepts \d|requires (?:at least|exactly|\d)|must specify|values don't meet|unable to read|no such file|YAML parse error|Malformed|URL rejected|Use -help for summary/

/** Returns what a program says about its arguments, and ignores that it finds nobody. */
async function misused(name: string, args: readonly string[], at: Place): Promise<Problem> {
  const { output } = await outputOf(name, args, at)
  return USAGE.test(output) ? output.slice(0, 300) : undefined
}

/** Runs a program without a cluster, with a home of its own. */
function outputOf(name: string, args: readonly string[], at: Place) {
  const env = { PATH: process.env['PATH'] ?? '', HOME: at.sandbox, KUBECONFIG: '/dev/null' }
  const done = Promise.withResolvers<{ readonly code: unknown; readonly output: string }>()
  const here = args.map((arg) => located(arg, at))
  const child = execFile(name, here, { cwd: at.cwd, env }, (error, stdout, stderr) =>
    done.resolve({ code: error ? error.code : 0, output: stderr + stdout }),
  )
  child.stdin?.end()
  return done.promise
}
