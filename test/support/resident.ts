import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Workload } from '../deploy/manifests.ts'
import type { MadeSession } from './made-sessions.ts'
import { createRequestPool, forwardedNavigation } from './request-pool.ts'

const MIB = 1024 * 1024

/** Memory limit and environment of the container in the manifest. */
export function manifestLimits() {
  const { spec } = parse(readFileSync('deploy/k8s/base/deployment.yaml', 'utf8')) as {
    spec: Workload
  }
  const [{ env = [], resources }] = spec.template.spec.containers
  const limitBytes = Number.parseInt(resources.limits['memory'] ?? '', 10) * MIB
  const settings = Object.fromEntries(env.map(({ name, value = '' }) => [name, value]))
  return { limitBytes, settings }
}

/** Returns the resident memory of a process, and the most that it has been. */
export function residentBytes(pid: number) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1])
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** Checks each session once, and returns how many were not let in as their user. */
export async function visitAll(port: number, sessions: readonly MadeSession[]): Promise<number> {
  using pool = createRequestPool(port)
  let others = 0
  const check = (at: number) => ({
    path: '/auth',
    headers: { ...forwardedNavigation, Cookie: sessions[at]?.cookie },
  })
  await pool.sendMany(sessions.length, check, ({ status, headers }, at) => {
    if (status !== 200 || headers['x-auth-request-user'] !== sessions[at]?.sub) others++
  })
  return others
}
