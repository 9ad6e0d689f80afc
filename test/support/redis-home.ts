import { setTimeout as wait } from 'node:timers/promises'
import { findProgram, startProcess } from '../../stand-ins/process.ts'

export type RedisHome = 'process' | 'container'

export interface LaunchedRedis {
  readonly pid: number | undefined
  readonly hasExited: () => boolean
  readonly output: () => Promise<string>
  readonly pause: () => Promise<void>
  readonly resume: () => Promise<void>
  readonly kill: () => Promise<void>
}

type Launch = (args: readonly string[], folder: string) => Promise<LaunchedRedis>

/** Returns an available home, the preferred one first. */
export async function findRedisHome(first: RedisHome = 'process'): Promise<RedisHome | undefined> {
  const isThere = {
    process: async () => findProgram('redis-server') !== undefined,
    container: async () => (await dockerMissing()) === undefined,
  }
  const other = first === 'process' ? 'container' : 'process'
  if (await isThere[first]()) return first
  return (await isThere[other]()) ? other : undefined
}

/** Returns why tests cannot start a Redis here, or `undefined` when they can. */
export const redisMissing = async (): Promise<string | undefined> =>
  (await findRedisHome())
    ? undefined
    : `redis-server is not on PATH and could not be installed, and ${await dockerMissing()}`

let sought: Promise<string | undefined> | undefined

/** Returns why no container can be started here, or `undefined` when one can. */
export function dockerMissing(): Promise<string | undefined> {
  sought ??= import('testcontainers')
    .then(({ getContainerRuntimeClient }) => getContainerRuntimeClient())
    .then(
      () => undefined,
      (cause: unknown) => `no Docker answers (${cause instanceof Error ? cause.message : cause})`,
    )
  return sought
}

const launchProcess: Launch = async (args) => {
  const running = startProcess('redis-server', args)
  const { child } = running
  const signal = async (name: 'SIGSTOP' | 'SIGCONT') => {
    if (!child.kill(name)) throw new Error('this Redis does not run')
  }
  return {
    pid: child.pid,
    hasExited: () =>
      child.pid === undefined || child.exitCode !== null || child.signalCode !== null,
    output: async () => running.output(),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    kill: async () => {
      await running.stop('SIGKILL')
    },
  }
}

const IMAGE = process.env['REDIS_IMAGE'] ?? 'redis:7.4.9-alpine'

/** Starts a container in the network and with the folder of the host, as a process has them; needs Docker on Linux. */
const launchContainer: Launch = async (args, folder) => {
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers')
  const started = await new GenericContainer(IMAGE)
    .withNetworkMode('host')
    .withBindMounts([{ source: folder, target: folder, mode: 'rw' }])
    .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`)
    // Replaces the entry point of the image, which would change the user.
    .withEntrypoint(['redis-server'])
    .withCommand([...args])
    .start()
  const { container } = await getContainerRuntimeClient()
  const handle = container.getById(started.getId())
  let hasExited = false
  const ended = () => {
    hasExited = true
  }
  handle.wait().then(ended, ended)
  return {
    pid: undefined,
    hasExited: () => hasExited,
    output: async () => {
      const logs = await started.logs()
      const lines: string[] = []
      logs.on('data', (line) => lines.push(String(line)))
      await Promise.race([new Promise((resolve) => logs.once('end', resolve)), wait(500)])
      return lines.join('')
    },
    pause: async () => {
      await handle.pause()
    },
    resume: async () => {
      await handle.unpause()
    },
    kill: async () => {
      await handle.kill({ signal: 'SIGKILL' }).catch(() => undefined)
      await started.stop({ timeout: 0 }).catch(() => undefined)
    },
  }
}

export const launchRedis: Readonly<Record<RedisHome, Launch>> = {
  process: launchProcess,
  container: launchContainer,
}
