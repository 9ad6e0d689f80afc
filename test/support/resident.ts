import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { parse } from 'yaml'
import type { Workload } from '../deploy/manifests.ts'
import type { MadeSession } from './made-sessions.ts'
import { readMetric } from './outage.ts'
import { createRequestPool, forwardedNavigation } from './request-pool.ts'
import type { VestibuleProcess } from './vestibule-process.ts'

const MIB = 1024 * 1024

/** Memory limit and environment of the container in the manifest, or with `component` as it changes them. */
export function manifestLimits(component?: 'connected-clients') {
  const { spec } = parse(readFileSync('deploy/k8s/base/deployment.yaml', 'utf8')) as {
    spec: Workload
  }
  const [{ env = [], resources }] = spec.template.spec.containers
  const settings = Object.fromEntries(env.map(({ name, value = '' }) => [name, value]))
  const {
    limit = resources.limits['memory'] ?? '',
    NODE_OPTIONS = settings['NODE_OPTIONS'] ?? '',
  } = component ? patched(component) : {}
  return {
    limitBytes: Number.parseInt(limit, 10) * MIB,
    settings: { ...settings, NODE_OPTIONS },
  }
}

interface ComponentPatch {
  readonly op: string
  readonly path: string
  readonly value: string
}

function patched(component: string): { readonly limit?: string; readonly NODE_OPTIONS?: string } {
  const file = readFileSync(`deploy/k8s/components/${component}/kustomization.yaml`, 'utf8')
  const { patches } = parse(file) as { patches: readonly { patch: string }[] }
  const steps = patches.flatMap(({ patch }) => parse(patch) as ComponentPatch[])
  const find = (end: string) => steps.find(({ path }) => path.endsWith(end))?.value ?? ''
  return { limit: find('limits/memory'), NODE_OPTIONS: find('env/0/value') }
}

/** Returns the resident memory of a process, and the most that it has been. */
export function residentBytes(pid: number) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1])
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** Options of Node with which `SIGUSR2` collects and compacts, because only right after a collection is memory what is still in use. */
export const COLLECTING =
  "--expose-gc --import=data:text/javascript,process.on('SIGUSR2',()=>gc({type:'major',execution:'sync',flavor:'last-resort'}))"

/** Returns the least heap and resident memory after several collections. */
export async function settledMemory(vestibule: VestibuleProcess) {
  let [heap, resident] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let reading = 0; reading < 5; reading += 1) {
    process.kill(vestibule.pid, 'SIGUSR2')
    heap = Math.min(heap, await readMetric(vestibule, 'vestibule_nodejs_heap_size_used_bytes'))
    await wait(200)
    resident = Math.min(resident, residentBytes(vestibule.pid).now)
  }
  return { heap, resident }
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
