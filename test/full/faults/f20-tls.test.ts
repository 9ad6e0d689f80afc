import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { beforeAll, expect, test } from 'vitest'
import { type Authority, createAuthority } from '../../../stand-ins/certificates.ts'
import { useFolder } from '../../support/configuration.ts'
import * as outage from '../../support/outage.ts'
import { startOutageCourse } from '../../support/outage-course.ts'
import { prepared } from '../../support/prepared.ts'
import type { RestartOptions } from '../../support/redis.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'

const DAY_MS = 86_400_000
const NAMES = ['localhost', '127.0.0.1']
const TLS_HANDSHAKE = 0x16

/** Passes connections on and keeps the first byte that each client sends. */
async function startWiretap(targetPort: () => number) {
  const firstBytes: number[] = []
  const server = createServer((client) => {
    const target = connect(targetPort(), '127.0.0.1')
    client.once('data', (chunk: Buffer) => firstBytes.push(chunk.readUInt8(0)))
    client.pipe(target).pipe(client)
    client.on('error', () => undefined).once('close', () => target.destroy())
    target.on('error', () => undefined).once('close', () => client.destroy())
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const address = server.address()
  if (!address || typeof address === 'string') throw new Error('no port')
  return { port: address.port, firstBytes, close: () => void server.close() }
}

describeWithRedis('F20 the certificate of Redis', () => {
  const folder = useFolder()
  const fleet = prepared(async () => {
    const authority = await createAuthority()
    const caFile = await folder.write(authority.certificate)
    let redisPort = 0
    const wiretap = await startWiretap(() => redisPort)
    const replicas = await startReplicas({
      redis: { tls: { authority } },
      settings: {
        ...outage.WITHOUT_GRACE,
        // The breaker would wait longer after each of these outages.
        REDIS_CIRCUIT_BREAKER_TIMEOUT: '1',
        REDIS_ADDRESS: `rediss://127.0.0.1:${wiretap.port}`,
        REDIS_CA_FILE: caFile,
      },
    })
    redisPort = replicas.network.port
    return {
      ...replicas,
      authority,
      caFile,
      wiretap,
      [Symbol.asyncDispose]: async () => {
        await replicas[Symbol.asyncDispose]()
        wiretap.close()
      },
    }
  })
  beforeAll(() => outage.untilEvent(fleet().first, 'redis_connected'))
  /** Starts Redis again, and waits until a replica has tried to connect. */
  const restart = async (options: RestartOptions) => {
    const failed = () => outage.redisErrors(fleet().first, options.tls ? 'tls' : 'connection')
    const before = await failed()
    await fleet().redis.restart({ keepData: true, ...options })
    await expect.poll(failed).toBeGreaterThan(before)
  }
  const good = () =>
    fleet().redis.restart({ keepData: true, tls: { authority: fleet().authority } })
  const certificate =
    (issue: (authority: Authority) => ReturnType<Authority['issue']>) => async () => {
      const { authority } = fleet()
      return { tls: { authority, certificate: await issue(authority) } }
    }
  const faults: readonly (readonly [what: string, change: () => Promise<RestartOptions>])[] = [
    ['has expired', certificate((authority) => authority.issue(NAMES, -DAY_MS))],
    ['is of another name', certificate((authority) => authority.issue(['redis.example.com']))],
    ['is of an unknown authority', certificate(async () => (await createAuthority()).issue(NAMES))],
    ['is missing, as is TLS', async () => ({ tls: undefined })],
  ]

  test.for(faults)('a certificate that %s is refused', async ([, change]) => {
    const { first } = fleet()
    const course = await startOutageCourse(fleet())
    const lossesBefore = outage.countEvents(first, 'redis_disconnected')
    await restart(await change())
    await course.expectDegraded()
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(lossesBefore + 1)
    await good()
    await course.expectRecovered()
  })

  test('a new authority does not affect the open connection, and counts for the next one', async () => {
    const { first, caFile, authority } = fleet()
    const { cookie } = await fleet().signedIn()
    const next = await createAuthority('The next authority')
    await restart({ tls: { authority: next } })
    await outage.expectChecksRefused(first, cookie)
    await writeFile(caFile, `${authority.certificate}\n${next.certificate}`)
    await outage.expectRecovery(first, cookie)
    const lossesBefore = outage.countEvents(first, 'redis_disconnected')
    await writeFile(caFile, next.certificate)
    for (let round = 0; round < 20; round += 1) await outage.expectStatus(200, first, cookie)
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(lossesBefore)
    await writeFile(caFile, authority.certificate)
    await good()
    await outage.expectRecovery(first, cookie)
  })

  test('no byte was sent in clear in any of these tests', () => {
    const { firstBytes } = fleet().wiretap
    expect(firstBytes.length).toBeGreaterThan(5)
    expect(new Set(firstBytes)).toEqual(new Set([TLS_HANDSHAKE]))
    expect(fleet().first.isAlive()).toBe(true)
  })
})
