import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

/** Leaders of process groups that have not ended yet, with their names. */
const running = new Map<ChildProcess, string>()

/** Kills the process groups listed last on its input when the input ends, which happens however this process ends. */
const WATCHDOG =
  'while read -r line; do groups=$line; done; for group in $groups; do kill -s KILL -- "-$group"; done'

let told: Writable | undefined

/** Ends a child and everything that it starts no later than this process. The child must lead its process group. */
export const guard = (child: ChildProcess, name: string): void => {
  if (child.pid === undefined) return
  running.set(child, name)
  tellWatchdog()
  child.once('exit', () => {
    // Children of the child may live on and would hold its output open.
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
    // ESRCH means that the whole group has ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Returns the names of programs that were started here and have not ended. */
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
