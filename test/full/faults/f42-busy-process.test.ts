import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { startProcess } from '../../../stand-ins/process.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { startCheckLoad } from '../../support/check-load.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type RequestPool,
} from '../../support/request-pool.ts'
import { addDirectly } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const SLOW_MS = 2500
/** Processor time after which the datagram has certainly been read. */
const BEGUN_MS = 100
const BUSY_MS = 4000
const NEIGHBOURS = 4
const AT_ONCE = 20

const BLOCKING = pathToFileURL(join(import.meta.dirname, '../../support/blocking.ts')).href

const modes = [
  ['redis', outage.WITHOUT_GRACE],
  ['hybrid', { ...HYBRID, REDIS_HYBRID_L1_TTL: '1', ...outage.WITHOUT_GRACE }],
] as const

const SHED = 'vestibule_checks_total{outcome="unavailable",source="none"}'

/** Starts a replica that is made slow, and another beside it. */
async function startPair(settings: Readonly<Record<string, string>>) {
  const replicas = await startReplicas({ settings: { ...settings, ...PATIENT } })
  const ports = [await steadyPort(), await steadyPort()] as const
  const slow = await addDirectly(replicas, {
    NODE_OPTIONS: `--import ${BLOCKING}`,
    BLOCKING_PORTS: ports.join(),
  })
  const { cookie } = await signInAt(slow)
  const request = { path: '/auth', headers: { ...forwardedNavigation, Cookie: cookie } }
  const askAll = async (pool: RequestPool) => {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => pool.send(request)))
    return answers.map(({ status }) => status)
  }
  const others = startCheckLoad(replicas.first.internalPort, cookie, { perSecond: 50 })
  return Object.assign(replicas, { slow, ports, cookie, askAll, others })
}

type Pair = Awaited<ReturnType<typeof startPair>>

describeWithRedis('F42 the process itself is slow', () => {
  /** Redis is not to blame, and nobody says that it is. */
  const expectRedisNotBlamed = async (replica: VestibuleProcess) => {
    const { body } = await replica.internal('/metrics')
    expect(body).not.toMatch(/^vestibule_circuit_breaker_changes_total\{/m)
    expect(body).not.toMatch(/^vestibule_redis_errors_total\{/m)
    expect(outage.countEvents(replica, 'redis_disconnected')).toBe(0)
    expect(outage.countEvents(replica, 'circuit_breaker_open')).toBe(0)
    expect(outage.countEvents(replica, 'unhandled_rejection')).toBe(0)
    expect(replica.isAlive()).toBe(true)
  }

  /** Ways to slow the process down until it has read the requests that `ask` sends meanwhile. */
  const ways = [
    [
      'stopped for a while',
      async ({ slow }: Pair, ask: () => void) => {
        process.kill(slow.pid, 'SIGSTOP')
        ask()
        await wait(SLOW_MS)
        process.kill(slow.pid, 'SIGCONT')
      },
    ],
    [
      'kept busy once',
      async ({ slow, ports }: Pair, ask: () => void) => {
        await keepBusy(slow, ports[0])
        ask()
      },
    ],
    [
      'kept busy twice in a row',
      async ({ slow, ports }: Pair, ask: () => void) => {
        await keepBusy(slow, ports[0])
        // Before the requests, so that they are behind it in the next round of the event loop.
        await send(ports[1], `${SLOW_MS}`)
        ask()
      },
    ],
  ] as const
  const cases = modes.flatMap(([mode, settings]) =>
    ways.map(([what, slowDown]) => [what, mode, settings, slowDown] as const),
  )

  test.for(cases)('%s in %s mode: Redis is not blamed', async ([what, , settings, slowDown]) => {
    await using pair = await startPair(settings)
    const { slow, cookie, others } = pair
    using pool = createRequestPool(slow.internalPort, AT_ONCE)
    expect(new Set(await pair.askAll(pool))).toEqual(new Set([200]))
    const shedBefore = await outage.readMetric(slow, SHED)

    let asked: ReturnType<Pair['askAll']> = Promise.resolve([])
    await slowDown(pair, () => {
      asked = pair.askAll(pool)
    })
    const waited = await asked
    const shedAfter = await outage.readMetric(slow, SHED)
    await outage.expectRecovery(slow, cookie)
    await others.stop()
    const shed = waited.filter((status) => status === 503).length
    expect(waited.filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect(shedAfter).toBe(shedBefore + shed)
    // A single pause is over when it is noticed.
    if (what === 'kept busy twice in a row') expect(shed).toBeGreaterThan(0)
    else expect(shed).toBe(0)
    expect(new Set(await pair.askAll(pool))).toEqual(new Set([200]))
    expect(others.statuses()).toEqual([200])

    await expectRedisNotBlamed(slow)
    await until('health', async () => (await slow.internal('/health?strict=1')).status === 200)
    await outage.expectOthersServed(slow)
  })

  test('beside neighbours that take all of the machine nobody is signed out, and no Redis error is counted', async () => {
    await using replicas = await startReplicas({ count: 0, settings: outage.WITHOUT_GRACE })
    // The network in between would be slowed down with the rest of the machine.
    const first = await addDirectly(replicas, PATIENT)
    const { cookie } = await signInAt(first)
    await using neighbours = startNeighbours()
    const load = startCheckLoad(first.internalPort, cookie, { perSecond: 50, connections: 4 })
    const endMs = performance.now() + BUSY_MS
    while (performance.now() < endMs) {
      expect((await first.internal('/livez')).status).toBe(200)
      expect((await first.internal('/readyz')).status).toBe(200)
      await wait(50)
    }
    await neighbours.stop()
    await outage.expectRecovery(first, cookie)
    await load.stop()
    expect(load.statuses().filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect(load.count(200)).toBeGreaterThan(20 * load.count(503))
    expect(load.oddities).toEqual([])
    await expectRedisNotBlamed(first)
    await outage.expectHealthy(first)
  })
})

/** Resolves when it is busy. */
async function keepBusy({ pid }: VestibuleProcess, port: number): Promise<void> {
  const before = await processorMs(pid)
  await send(port, `${SLOW_MS}`)
  await until('a busy process', async () => (await processorMs(pid)) - before >= BEGUN_MS)
}

/** Unit of Linux's account of processor time. */
const TICK_MS = 10

/** Reads the processor time that a process has used. */
async function processorMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // Behind the name of the program, which may have blanks in it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system] = fields.slice(11, 13).map(Number)
  return (Number(user) + Number(system)) * TICK_MS
}

async function send(port: number, text: string): Promise<void> {
  const socket = createSocket('udp4')
  const sent = Promise.withResolvers<void>()
  socket.send(text, port, '127.0.0.1', () => sent.resolve())
  await sent.promise
  socket.close()
}

/** More of them than the machine has processors. */
function startNeighbours() {
  const all = Array.from({ length: NEIGHBOURS }, () =>
    startProcess(process.execPath, ['-e', 'for (;;);']),
  )
  const stop = async (): Promise<void> => {
    await Promise.all(all.map((each) => each.stop('SIGKILL')))
  }
  return { stop, [Symbol.asyncDispose]: stop }
}
