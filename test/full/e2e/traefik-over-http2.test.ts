import { request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { makeTlsFiles } from '../../support/internal-tls.ts'
import { readMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { startProxies } from '../../support/protected-app.ts'
import { describeWithRedis, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { startRoundRobin } from '../../support/round-robin.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import { createVisitor } from '../../support/visitor.ts'

const HOST = 'app.localhost'
const ORIGIN = `http://${HOST}`
const CLIENTS = 32

/** Two replicas behind a balancer of TCP connections, which Traefik asks over TLS. */
async function startBehindTraefik() {
  await using stack = new AsyncDisposableStack()
  const files = stack.adopt(await makeTlsFiles(), (made) => made[Symbol.dispose]())
  const settings = {
    ...PATIENT,
    ...files.settings,
    PROTECTED_HOSTS: ORIGIN,
    DRAIN_SECONDS: '2',
  }
  const replicas = stack.use(
    await startReplicas({ count: 2, settings, provider: { origins: [ORIGIN] } }),
  )
  const ports = (key: 'publicPort' | 'internalPort') => replicas.all.map((each) => each[key])
  const publicWay = stack.use(await startRoundRobin(ports('publicPort')))
  const checkWay = stack.use(await startRoundRobin(ports('internalPort')))
  const { originOf } = stack.use(
    await startProxies(
      ['traefik'],
      { publicPort: publicWay.port, internalPort: checkWay.port },
      () => ({
        hosts: [HOST],
        vestibuleCheckUrl: `https://127.0.0.1:${checkWay.port}/auth`,
        checkTls: { ca: files.caFile },
      }),
    ),
  )
  const origin = originOf('traefik')
  const browser = createVisitor({ connectTo: { [HOST]: origin } })
  await browser.signIn(`${ORIGIN}/headers`, 'alice')
  const kept = stack.move()
  return {
    replicas,
    publicWay,
    checkWay,
    cookie: browser.cookies.header(new URL(ORIGIN)) ?? '',
    port: Number(new URL(origin).port),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** Asks for the protected page through Traefik without a pause, from several clients. */
function startLoad(port: number, cookie: string) {
  const counts = new Map<string, number>()
  let isOver = false
  const ask = () =>
    new Promise<string>((resolve) => {
      const headers = { Host: HOST, Cookie: cookie, Accept: 'text/html' }
      request({ host: '127.0.0.1', port, path: '/headers', headers })
        .on('response', (answer) => {
          answer.resume().on('end', () => resolve(String(answer.statusCode)))
        })
        .on('error', ({ message }) => resolve(message))
        .end()
    })
  const work = async () => {
    while (!isOver) {
      const outcome = await ask()
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      await wait(Math.random() * 20)
    }
  }
  const workers = Promise.all(Array.from({ length: CLIENTS }, work))
  const total = () => [...counts.values()].reduce((sum, each) => sum + each, 0)
  return {
    more: async (count: number) => {
      const before = total()
      await until('a load that goes on', () => total() - before >= count, 60_000)
    },
    stop: async () => {
      isOver = true
      await workers
      return counts
    },
  }
}

function checksOf(replica: RunningVestibule): Promise<number> {
  return readMetric(replica, 'vestibule_checks_total{outcome="allow",source="store"}')
}

const missing = proxyMissing('traefik')
if (missing !== undefined) process.stdout.write(`skipped: ${missing}\n`)
const describeWithTraefik = missing === undefined ? describeWithRedis : describe.skip

describeWithTraefik('C63: Traefik over HTTP/2', () => {
  const started = prepared(startBehindTraefik)

  test('asks many checks over few connections', async () => {
    const { checkWay, replicas, cookie, port } = started()
    const connectionsBefore = checkWay.accepted()
    const checksBefore = await Promise.all(replicas.all.map(checksOf))
    const load = startLoad(port, cookie)
    await load.more(1000)
    expect([...(await load.stop()).keys()]).toEqual(['200'])
    const checksAfter = await Promise.all(replicas.all.map(checksOf))
    const checks = checksAfter.reduce((sum, each, at) => sum + each - Number(checksBefore[at]), 0)
    expect(checks).toBeGreaterThanOrEqual(1000)
    expect(checkWay.accepted() - connectionsBefore).toBeLessThan(10)
  })

  test('notices nothing of a rolling restart under load', async () => {
    const { replicas, publicWay, checkWay, cookie, port } = started()
    const load = startLoad(port, cookie)
    await load.more(100)
    const running = new Set(replicas.all)
    const lead = () => {
      publicWay.lead([...running].map((each) => each.publicPort))
      checkWay.lead([...running].map((each) => each.internalPort))
    }
    for (const replica of [...replicas.all]) {
      const next = await replicas.add()
      await untilStarted(next)
      running.add(next)
      lead()
      const stopped = replica.stop('SIGTERM')
      await until('no more', async () => (await replica.internal('/readyz')).status === 503, 5000)
      // Connections still come to the one that leaves until its balancer has noticed.
      await load.more(200)
      running.delete(replica)
      lead()
      expect(await stopped).toBe(0)
      await load.more(200)
    }
    expect([...(await load.stop()).keys()]).toEqual(['200'])
  })
})
