import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../../support/relying-party.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledRequest,
  type RequestPool,
} from '../../support/request-pool.ts'
import { startVestibuleProcess } from '../../support/vestibule-process.ts'

let party: RelyingParty
let browsers: RequestPool
let proxy: RequestPool

/** Forces frequent collections, because only right after one does the heap show what is still in use. */
const COLLECT = '--expose-gc --import=data:text/javascript,setInterval(gc,200).unref()'

beforeAll(async () => {
  party = await startRelyingParty({ NODE_OPTIONS: COLLECT }, {}, undefined, startVestibuleProcess)
  browsers = createRequestPool(party.vestibule.publicPort)
  proxy = createRequestPool(party.vestibule.internalPort)
}, 20_000)
afterAll(async () => {
  browsers[Symbol.dispose]()
  proxy[Symbol.dispose]()
  await party[Symbol.asyncDispose]()
})

const MIB = 1024 * 1024
const STARTS = 20_000
const WARM_UP = 3000
/** Every start would have to leave less than this behind; a target, an id and an end take more. */
const MAX_BYTES_EACH = 60
const MAX_RSS_GROWTH_MIB = 48

interface Memory {
  readonly heapMib: number
  readonly rssMib: number
}

function gauge(metrics: string, name: string): number {
  const value = new RegExp(`^vestibule_${name} (\\S+)$`, 'm').exec(metrics)?.[1]
  if (value === undefined) throw new Error(`no gauge vestibule_${name}`)
  return Number(value)
}

/** The least heap of a second, and what the process takes from the machine. */
async function measure(): Promise<Memory> {
  const readings: Memory[] = []
  for (let reading = 0; reading < 10; reading += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const { body } = await party.vestibule.internal('/metrics')
    readings.push({
      heapMib: gauge(body, 'nodejs_heap_size_used_bytes') / MIB,
      rssMib: gauge(body, 'process_resident_memory_bytes') / MIB,
    })
  }
  return {
    heapMib: Math.min(...readings.map(({ heapMib }) => heapMib)),
    rssMib: Math.min(...readings.map(({ rssMib }) => rssMib)),
  }
}

const host = { Host: 'app.example.com', Accept: 'text/html' }
function start(at: number): PooledRequest {
  return {
    path: `/oauth2/login?rd=${encodeURIComponent(`${APP}/page/${at}?q=${'x'.repeat(at % 300)}`)}`,
    headers: host,
  }
}
function junkCallback(at: number): PooledRequest {
  return {
    path: `/oauth2/callback?code=junk${at}&state=junk${at}`,
    headers: { ...host, Cookie: `__Host-vestibule_login=v1.${'A'.repeat(43)}.0.0` },
  }
}
function strangersCheck(at: number): PooledRequest {
  return {
    path: '/auth',
    headers: {
      ...forwardedNavigation,
      'X-Forwarded-Uri': `/page/${at}`,
      'X-Forwarded-For': `203.0.113.${at % 256}`,
      Cookie: `__Host-vestibule=v1.${String(at).padStart(43, 'A')}.${'B'.repeat(43)}`,
    },
  }
}

function report(what: string, before: Memory, after: Memory, seconds: number): void {
  const show = ({ heapMib, rssMib }: Memory) =>
    `heap ${heapMib.toFixed(1)} MiB, resident ${rssMib.toFixed(0)} MiB`
  console.log(`A64 ${what} in ${seconds.toFixed(1)} s: ${show(before)} → ${show(after)}`)
}

const kinds: readonly (readonly [
  string,
  'browsers' | 'proxy',
  (at: number) => PooledRequest,
  number,
])[] = [
  ['starts of a sign-in', 'browsers', start, 302],
  ['junk callbacks', 'browsers', junkCallback, 400],
  ['checks of strangers with made-up sessions', 'proxy', strangersCheck, 302],
]

describe('A64 storage filled by strangers', () => {
  test.for(kinds)(
    '%s leave nothing in memory',
    { timeout: 60_000 },
    async ([what, pool, make, status]) => {
      const { sendMany } = pool === 'browsers' ? browsers : proxy
      const statuses = new Map<number, number>()
      const count = (answer: { readonly status: number }) =>
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      await sendMany(WARM_UP, make, count)
      const before = await measure()
      const startedAtMs = performance.now()
      await sendMany(STARTS, (at) => make(WARM_UP + at), count)
      const seconds = (performance.now() - startedAtMs) / 1000
      const after = await measure()
      report(`${STARTS} ${what}`, before, after, seconds)

      expect(Object.fromEntries(statuses)).toEqual({ [status]: WARM_UP + STARTS })
      const grownBytes = (after.heapMib - before.heapMib) * MIB
      expect(grownBytes / STARTS).toBeLessThan(MAX_BYTES_EACH)
      expect(after.rssMib - before.rssMib).toBeLessThan(MAX_RSS_GROWTH_MIB)
      expect(party.provider.count('token')).toBe(0)
      expect(party.vestibule.isAlive()).toBe(true)
    },
  )
})
