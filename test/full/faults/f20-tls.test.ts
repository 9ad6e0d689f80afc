import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Authority, createAuthority } from '../../../stand-ins/certificates.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import type { RestartOptions } from '../../support/redis.ts'
import { until } from '../../support/redis-state.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'

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
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      one.on('error', () => undefined).once('close', () => other.destroy())
    }
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const address = server.address()
  if (!address || typeof address === 'string') throw new Error('no port')
  return { port: address.port, firstBytes, close: () => void server.close() }
}

describeWithRedis('F20 the certificate of Redis', () => {
  let folder: string
  let caFile: string
  let authority: Authority
  let replicas: Replicas
  let wiretap: Awaited<ReturnType<typeof startWiretap>>
  let redisPort = 0
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vestibule-f20-'))
    caFile = join(folder, 'ca.pem')
    authority = await createAuthority()
    await writeFile(caFile, authority.certificate)
    wiretap = await startWiretap(() => redisPort)
    replicas = await startReplicas({
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
    await until('a connection', () => outage.countEvents(replicas.first, 'redis_connected') === 1)
  })
  afterAll(async () => {
    await replicas[Symbol.asyncDispose]()
    wiretap.close()
    await rm(folder, { recursive: true })
  })
  const restart = (options: RestartOptions) =>
    replicas.redis.restart({ keepData: true, ...options })
  const good = async () => restart({ tls: { authority } })

  const faults = [
    ['has expired', () => authority.issue(NAMES, -DAY_MS)],
    ['is of another name', () => authority.issue(['redis.example.com'])],
    ['is of an unknown authority', async () => (await createAuthority()).issue(NAMES)],
  ] as const

  test.for(faults)(
    'a certificate that %s is refused until it is replaced',
    async ([what, issue], { expect }) => {
      const { first, provider } = replicas
      const { cookie } = await replicas.signedIn()
      const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
      provider.forgetRequests()
      const lossesBefore = outage.countEvents(first, 'redis_disconnected')
      await restart({ tls: { authority, certificate: await issue() } })
      await wait(300)
      await outage.expectChecksRefused(first, cookie)
      await outage.expectUnhealthy(first)
      await outage.expectOthersServed(first)
      outage.expectComeAgain(await other.get(callbackUrl))
      expect(provider.count('token')).toBe(0)
      expect(outage.countEvents(first, 'redis_disconnected')).toBe(lossesBefore + 1)

      await good()
      await outage.expectRecovery(`F20 a certificate that ${what}`, first, cookie)
      await outage.expectHealthy(first)
      await outage.expectSignInFinished(other, callbackUrl)
    },
  )

  test('a new authority does not affect the open connection, and counts for the next one', async () => {
    const { first } = replicas
    const { cookie } = await replicas.signedIn()
    const next = await createAuthority('The next authority')
    await restart({ tls: { authority: next } })
    await wait(300)
    await outage.expectChecksRefused(first, cookie)
    await writeFile(caFile, `${authority.certificate}\n${next.certificate}`)
    await outage.expectRecovery('F20 a new authority', first, cookie)
    await writeFile(caFile, next.certificate)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    const lossesBefore = outage.countEvents(first, 'redis_disconnected')
    await wait(300)
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(lossesBefore)
    await writeFile(caFile, authority.certificate)
    await good()
    await outage.expectRecovery('F20 the old authority', first, cookie)
  })

  test('a server without TLS gets no secret', async () => {
    const { first, redis } = replicas
    const { cookie } = await replicas.signedIn()
    await redis.restart({ keepData: true, tls: undefined })
    await wait(300)
    await outage.expectChecksRefused(first, cookie)
    await outage.expectUnhealthy(first)
    await good()
    await outage.expectRecovery('F20 TLS again', first, cookie)
  })

  test('a handshake that fails has an error class of its own', async () => {
    expect(await outage.redisErrors(replicas.first, 'tls')).toBeGreaterThan(0)
  })

  test('no byte was sent in clear in any of these tests', () => {
    expect(wiretap.firstBytes.length).toBeGreaterThan(5)
    expect(new Set(wiretap.firstBytes)).toEqual(new Set([TLS_HANDSHAKE]))
    expect(replicas.first.isAlive()).toBe(true)
  })
})
