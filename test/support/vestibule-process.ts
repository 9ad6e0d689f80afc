import { setTimeout as wait } from 'node:timers/promises'
import { type RunningProcess, startProcess } from '../../stand-ins/process.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import {
  defaultSettings,
  describeVestibule,
  parseLine,
  type RunningVestibule,
} from './vestibule.ts'

/** The service in a process of its own: to be signalled, paused and killed. */
export interface VestibuleProcess extends RunningVestibule {
  readonly pid: number
  readonly stop: (signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL') => Promise<number | null>
}

type Settings = Readonly<Record<string, string>>
type Ports = Pick<RunningVestibule, 'publicPort' | 'internalPort'>

/** Not what is tried, but what a hanging start costs: a busy machine may take its time. */
const READY_WITHIN_MS = 60_000

const environmentOf = (settings: Settings) => ({
  PATH: process.env['PATH'] ?? '',
  // Processes by the hundred read the same sources.
  NODE_COMPILE_CACHE: 'node_modules/.cache/node-compile',
  ...defaultSettings,
  ...settings,
})

/** Starts `node src/main.ts serve` with the given settings, Node's own among them, over defaults that suit most tests. */
export const startVestibuleProcess = async (
  settings: Settings = {},
  readyWithinMs = READY_WITHIN_MS,
): Promise<VestibuleProcess> => {
  const running = startProcess(process.execPath, ['src/main.ts', 'serve'], {
    env: environmentOf(settings),
  })
  // A line of which only a part has come is none yet.
  const log = () => running.output().split('\n').slice(0, -1).flatMap(parseLine)
  const listening = () => {
    const line = log().find((entry) => entry['event'] === 'listening')
    const isTls = 'INTERNAL_TLS_CERT_FILE' in settings
    const ports = {
      publicPort: Number(line?.['port']),
      internalPort: Number(line?.['internal_port']),
    }
    return line && { ...ports, isTls }
  }
  return describeProcess(running, log, await untilReady(running, listening, readyWithinMs))
}

/** The same, writing its log to a file of which it cannot be told when it listens. */
export const startVestibuleLoggingTo = async (
  file: string,
  settings: Settings,
): Promise<VestibuleProcess> => {
  const ready = { publicPort: await steadyPort(), internalPort: await steadyPort() }
  const ports = { PORT: `${ready.publicPort}`, INTERNAL_PORT: `${ready.internalPort}` }
  const command = 'exec "$0" src/main.ts serve >"$1"'
  const running = startProcess('sh', ['-c', command, process.execPath, file], {
    env: environmentOf({ ...settings, ...ports }),
  })
  const described = describeProcess(running, () => [], ready)
  const isLive = () =>
    described.internal('/livez').then(
      ({ status }) => status === 200,
      () => false,
    )
  await untilReady(running, async () => ((await isLive()) ? ready : undefined))
  return described
}

const describeProcess = (
  running: RunningProcess,
  log: RunningVestibule['log'],
  ports: Ports,
): VestibuleProcess =>
  describeVestibule(ports, {
    pid: running.child.pid ?? 0,
    log,
    output: running.output,
    isAlive: () => isRunning(running),
    stop: running.stop,
    [Symbol.asyncDispose]: async () => void (await running.stop('SIGKILL')),
  })

const isRunning = ({ child }: RunningProcess): boolean =>
  child.exitCode === null && child.signalCode === null

/** A start that fails or hangs leaves nothing behind. */
const untilReady = async (
  running: RunningProcess,
  ready: () => Ports | undefined | Promise<Ports | undefined>,
  withinMs = READY_WITHIN_MS,
): Promise<Ports> => {
  for (const end = performance.now() + withinMs; performance.now() < end; await wait(10)) {
    const ports = await ready()
    if (ports) return ports
    if (!isRunning(running)) break
  }
  await running.stop('SIGKILL')
  throw new Error(`vestibule did not start:\n${running.output()}`)
}
