import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

/** The leaders of process groups that have not ended yet, and what they are. */
const running = new Map<ChildProcess, string>()

/** Kills the groups it was told of last when its input ends, which it does when this process ends, in whatever way. */
const WATCHDOG =
  'while read -r line; do groups=$line; done; for group in $groups; do kill -s KILL -- "-$group"; done'

let told: Writable | undefined

/** Sees to it that this child and what it starts end no later than this process. It must lead its process group. */
export const guard = (child: ChildProcess, name: string): void => {
  if (child.pid === undefined) return
  running.set(child, name)
  tellWatchdog()
  child.once('exit', () => {
    // Its own children may live on, and would hold its output open.
    killGroup(child)
    running.delete(child)
    tellWatchdog()
  })
}

export const killGroup = ({ pid }: ChildProcess): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // The whole group has ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Names the programs that were started here and have not ended. */
export const stillRunning = (): readonly string[] =>
  [...running].map(([{ pid }, name]) => `${name} (process ${pid})`)

export const killRunning = (): void => {
  for (const child of running.keys()) killGroup(child)
}

const tellWatchdog = (): void => {
  told ??= startWatchdog()
  told.write(`${[...running.keys()].map(({ pid }) => pid).join(' ')}\n`)
}

const startWatchdog = (): Writable => {
  const { PATH = '' } = process.env
  const child = spawn('sh', ['-c', WATCHDOG], {
    env: { PATH },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.on('error', () => undefined).unref()
  child.stdin.on('error', () => undefined)
  if (child.stdin instanceof Socket) child.stdin.unref()
  return child.stdin
}
