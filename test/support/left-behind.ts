import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { RUN_MARK } from '../../stand-ins/process.ts'

/** Names the run to the processes that run tests. */
export const RUN_ID = 'VESTIBULE_TEST_RUN_ID'

/** How long processes that were told to end may take for it. */
const GONE_WITHIN_MS = 5000

/** Fails the run when a process that it has started outlives it, and ends that process. Seen on Linux alone. */
export default function watchProcesses(): () => Promise<void> {
  const id = (process.env[RUN_ID] ??= randomUUID())
  return async () => {
    let left = processesOf(id)
    for (const end = performance.now() + GONE_WITHIN_MS; performance.now() < end; ) {
      if (left.length === 0) return
      await wait(50)
      left = processesOf(id)
    }
    for (const { pid } of left) kill(pid)
    process.exitCode = 1
    const names = left.map(({ pid, command }) => `${command} (process ${pid})`)
    throw new Error(`left behind by the test run:\n${names.join('\n')}`)
  }
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

interface Left {
  readonly pid: number
  readonly command: string
}

const processesOf = (id: string): readonly Left[] =>
  pids().flatMap((pid) => {
    const isOurs = readProcess(pid, 'environ').includes(`${RUN_MARK}=${id}`)
    const command = readProcess(pid, 'cmdline').join(' ').trim()
    // A process that has ended and was not waited for has no command any more.
    return isOurs && command ? [{ pid, command }] : []
  })

const pids = (): readonly number[] => {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

/** Empty for a process that has ended or is somebody else's. */
const readProcess = (pid: number, file: 'environ' | 'cmdline'): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0')
  } catch {
    return []
  }
}
