import { existsSync, readFileSync } from 'node:fs'

/** Length of a tick of `/proc/PID/stat`, which Linux fixes at a hundredth of a second for programs. */
const TICK_MICROS = 10_000

/**
 * Returns the processor time of processes with all their threads, user and system, in microseconds. Other programs on
 * the machine change it far less than they change the time of a clock.
 */
export function processorMicros(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + microsOf(pid), 0)
}

function microsOf(pid: number): number {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path))
    throw new Error(`${path} is missing: the bench needs Linux, and the process`)
  const text = readFileSync(path, 'latin1')
  // Fields 14 and 15 of proc(5), counted behind the name, which may contain blanks.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS
}

/** Returns the resident memory of a process in MiB. */
export function residentMib(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
  return Number(kib) / 1024
}
