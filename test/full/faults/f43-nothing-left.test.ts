import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { findProgram, startProcess } from '../../../stand-ins/process.ts'
import { useFolder } from '../../support/configuration.ts'
import { signInAt, untilBackplaneHealthy } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import {
  describeWithRedis,
  HYBRID,
  SERVER_KEY,
  settingsFor,
  startReplicas,
  untilStarted,
} from '../../support/replicas.ts'
import { createRequestPool, forwardedNavigation } from '../../support/request-pool.ts'
import { startVestibuleLoggingTo, type VestibuleProcess } from '../../support/vestibule-process.ts'

const run = promisify(execFile)
/** Beyond those that are open anyway. */
const MORE_FILES = 20
const CROWD = 200
const CONNECTED_MS = 500

async function limitFiles({ pid }: VestibuleProcess, count: number): Promise<void> {
  await run('prlimit', ['--pid', `${pid}`, `--nofile=${count}:`])
}
async function openFiles({ pid }: VestibuleProcess): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}

/** Connections that say nothing. */
function gatherCrowd(port: number): readonly Socket[] {
  return Array.from({ length: CROWD }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .unref(),
  )
}

describeWithRedis('F43 no more files', () => {
  const replicas = prepared(() => startReplicas({ settings: HYBRID }))

  test('open connections are answered with and without Redis, and new ones once there are files again', async (ctx) => {
    if (!findProgram('prlimit')) ctx.skip('prlimit is not on PATH')
    const { first, redis } = replicas()
    const { cookie } = await signInAt(first)
    const asserted = `${cookie}; ${await takeAssertion(first, cookie)}`
    await untilBackplaneHealthy(first)
    using pool = createRequestPool(first.internalPort, 1)
    const ask = async (headers: Readonly<Record<string, string>>) =>
      (await pool.send({ path: '/auth', headers: { ...forwardedNavigation, ...headers } })).status
    const limit = (await openFiles(first)) + MORE_FILES
    expect(await ask({ Cookie: asserted })).toBe(200)

    await limitFiles(first, limit)
    const crowd = gatherCrowd(first.internalPort)
    await until('a crowd', async () => (await openFiles(first)) > limit - MORE_FILES / 2)
    await wait(CONNECTED_MS)
    const open = await openFiles(first)
    expect(open).toBeGreaterThan(limit - MORE_FILES / 2)
    expect(open).toBeLessThan(limit + MORE_FILES)
    for (let round = 0; round < 20; round += 1) {
      expect(await ask({ Cookie: asserted })).toBe(200)
      expect(await ask({})).toBe(302)
    }
    for (const type of ['normal', 'pubsub']) {
      await redis.cli('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')
    }
    const endMs = performance.now() + 2 * CONNECTED_MS
    while (performance.now() < endMs) {
      expect(await ask({ Cookie: asserted })).toBe(200)
      expect(await ask({})).toBe(302)
    }
    expect(first.isAlive()).toBe(true)

    for (const socket of crowd) socket.destroy()
    await limitFiles(first, 1024)
    await outage.untilHealthy(first, 10_000)
    await outage.expectOthersServed(first)
    await outage.expectHealthy(first)
    expect((await first.check({}, { Cookie: asserted })).status).toBe(200)
    expect(outage.countEvents(first, 'unhandled_rejection')).toBe(0)
    expect(await outage.readMetric(first, 'vestibule_redis_connected')).toBe(1)
  })
})

describeWithRedis('F43 nowhere to log to', () => {
  const replicas = prepared(() => startReplicas({ count: 0 }))
  const folder = useFolder()

  /** Reads one byte and goes away. */
  const startShortReader = async (): Promise<string> => {
    const pipe = folder.pathOf('log')
    await run('mkfifo', [pipe])
    startProcess('head', ['-c', '1', pipe])
    return pipe
  }
  const logs = [
    ['a full disk', async () => '/dev/full'],
    ['a pipe that nobody reads any more', startShortReader],
  ] as const

  test.for(logs)('%s: decisions do not change, also in an outage', async ([, place]) => {
    const { provider, redis, network } = replicas()
    await using vestibule = await startVestibuleLoggingTo(await place(), {
      ...HYBRID,
      ...settingsFor(provider, network),
      SESSION_ENCRYPTION_KEY: SERVER_KEY,
    })
    await untilStarted(vestibule)
    const { browser, cookie } = await signInAt(vestibule)
    const { cookie: staying } = await signInAt(vestibule, 'bob')
    const statuses = async () =>
      Promise.all(
        [{ Cookie: cookie }, { Cookie: staying }, {}].map(
          async (headers) => (await vestibule.check({}, headers)).status,
        ),
      )
    expect(await statuses()).toEqual([200, 200, 302])
    expect((await vestibule.check({ host: 'foreign.example' })).status).toBe(400)
    await redis.pause()
    await wait(300)
    expect(await statuses()).toEqual([200, 200, 302])
    await redis.resume()
    await outage.untilHealthy(vestibule)
    expect((await outage.signOut(browser)).status).toBe(303)
    expect(await statuses()).toEqual([302, 200, 302])
    await outage.expectOthersServed(vestibule)
    expect(await vestibule.stop('SIGTERM')).toBe(0)
  })
})
