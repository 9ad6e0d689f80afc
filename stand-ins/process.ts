import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { listenOn } from './network/server.ts'
import { guard, killGroup } from './process-guard.ts'

/** Returns the path of a program on PATH, or `undefined`. */
export const findProgram = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable)

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Returns a loopback port that was free a moment ago, for programs that cannot listen on port 0. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  const port = await listenOn(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Tells whether nothing listens at this port, neither on 127.0.0.1 nor on ::1. */
export const isFree = async (port: number): Promise<boolean> => {
  const answers = await Promise.all(['127.0.0.1', '::1'].map((host) => tryToListen(port, host)))
  return !answers.includes('EADDRINUSE')
}

const tryToListen = async (port: number, host: string): Promise<string | undefined> => {
  const server = createServer()
  const outcome = Promise.withResolvers<string | undefined>()
  server.once('error', ({ code }: NodeJS.ErrnoException) => outcome.resolve(code))
  server.listen(port, host, () => outcome.resolve(undefined))
  const failure = await outcome.promise
  if (!failure) await new Promise((resolve) => server.close(resolve))
  return failure
}

export interface RunningProcess {
  readonly child: ChildProcess
  /** Returns everything that the process has written so far. */
  readonly output: () => string
  readonly exited: Promise<number | null>
  readonly stop: (signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL') => Promise<number | null>
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

const KILL_AFTER_MS = 8_000

/** Starts a program in a process group of its own, which ends with this process in any case. */
export const startProcess = (
  program: string,
  args: readonly string[],
  options: ProcessOptions = {},
): RunningProcess => {
  const env = { ...(options.env ?? process.env), ...markOfRun() }
  const child = spawn(program, args, {
    ...options,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  guard(child, [program, ...args].join(' '))
  const chunks: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
  }
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      chunks.push(String(error))
      resolve(null)
    })
    child.once('close', resolve)
  })

  const stop: RunningProcess['stop'] = async (signal = 'SIGTERM') => {
    if (signal === 'SIGKILL') killGroup(child)
    else child.kill(signal)
    const timer = setTimeout(() => killGroup(child), KILL_AFTER_MS)
    return exited.finally(() => clearTimeout(timer))
  }
  return { child, output: () => chunks.join(''), exited, stop }
}

/** Environment variable by which a test run finds processes that it has left behind. */
export const RUN_MARK = 'VESTIBULE_TEST_RUN'

const markOfRun = (): Record<string, string> => {
  const run = process.env[RUN_MARK]
  return run === undefined ? {} : { [RUN_MARK]: run }
}
