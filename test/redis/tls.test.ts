import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import type { RedisTls } from '../../src/redis/target.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { type RedisTlsOptions, type RunningRedis, startRedis } from '../support/redis.ts'
import { tryConnection, until } from '../support/redis-state.ts'

const DAY_MS = 86_400_000
/** Time limit where one side waits for a greeting that never comes. */
const NEVER_MS = 300

async function outcomeOf(
  { port }: RunningRedis,
  tls: RedisTls | undefined,
  host = '127.0.0.1',
  connectTimeoutMs = 10_000,
): Promise<string> {
  await using opened = await tryConnection({ host, port, ...(tls && { tls }) }, connectTimeoutMs)
  if (!opened.connection.isConnected) return opened.disconnected[0] ?? 'nothing'
  expect(await opened.connection.run(undefined, (client) => client.ping(), 10_000)).toBe('PONG')
  return 'connected'
}

async function start(names?: string[], validForMs?: number, options?: Partial<RedisTlsOptions>) {
  const authority = await createAuthority()
  const certificate = names && (await authority.issue(names, validForMs))
  const tls = { ...options, authority, ...(certificate && { certificate }) }
  const redis = await startRedis({ tls })
  return Object.assign(redis, { trust: { ca: authority.certificate, skipVerify: false } })
}

async function clientPems({ clientFiles }: RunningRedis) {
  return {
    cert: await readFile(clientFiles.certificate, 'utf8'),
    key: await readFile(clientFiles.key, 'utf8'),
  }
}

describe('a connection with TLS', () => {
  test('is made where the authority is trusted, by name and by address', async () => {
    await using redis = await start()
    expect(await outcomeOf(redis, redis.trust)).toBe('connected')
    expect(await outcomeOf(redis, redis.trust, 'localhost')).toBe('connected')
  })

  test('is refused for an unknown authority, and made without verification', async () => {
    await using redis = await start()
    const ca = (await createAuthority()).certificate
    expect(await outcomeOf(redis, { ca, skipVerify: false })).toBe('tls')
    expect(await outcomeOf(redis, { skipVerify: false })).toBe('tls')
    expect(await outcomeOf(redis, { skipVerify: true })).toBe('connected')
  })

  test('is refused for another name, and made without verification', async () => {
    await using redis = await start(['redis.example.com'])
    expect(await outcomeOf(redis, redis.trust)).toBe('tls')
    expect(await outcomeOf(redis, redis.trust, 'localhost')).toBe('tls')
    expect(await outcomeOf(redis, { ...redis.trust, skipVerify: true })).toBe('connected')
  })

  test('is refused for an expired certificate, and made without verification', async () => {
    await using redis = await start(['localhost', '127.0.0.1'], -DAY_MS)
    expect(await outcomeOf(redis, redis.trust)).toBe('tls')
    expect(await outcomeOf(redis, { ...redis.trust, skipVerify: true })).toBe('connected')
  })

  test('is never replaced by plain TCP where the server has no TLS', async () => {
    await using redis = await startRedis()
    for (const skipVerify of [true, false]) {
      expect(await outcomeOf(redis, { skipVerify }, undefined, NEVER_MS)).toBe('tls')
    }
    expect(await redis.cli('DBSIZE')).toBe('0')
  })

  test('is required by a server with TLS', async () => {
    await using redis = await start()
    expect(await outcomeOf(redis, undefined, undefined, NEVER_MS)).toBe('tls')
  })

  test('presents a client certificate, without which the server refuses it', async () => {
    await using redis = await start(undefined, undefined, { requireClientCertificate: true })
    const pems = await clientPems(redis)
    expect(await outcomeOf(redis, { ...redis.trust, ...pems })).toBe('connected')
    expect(await outcomeOf(redis, redis.trust)).toBe('tls')
    const other = await (await createAuthority()).issue(['vestibule'])
    const otherPems = { cert: other.certificate, key: other.privateKey }
    expect(await outcomeOf(redis, { ...redis.trust, ...otherPems })).toBe('tls')
  })

  test('fails with tls for invalid client files', async () => {
    await using redis = await start()
    const { key } = await clientPems(redis)
    expect(await outcomeOf(redis, { ...redis.trust, cert: 'no certificate', key })).toBe('tls')
    const other = await (await createAuthority()).issue(['vestibule'])
    expect(await outcomeOf(redis, { ...redis.trust, cert: other.certificate, key })).toBe('tls')
  })

  test('uses renewed files from the next attempt on', async () => {
    await using redis = await start()
    let tls: RedisTls = { ca: (await createAuthority()).certificate, skipVerify: false }
    await using opened = await tryConnection(() => ({ port: redis.port, tls }))
    expect(opened.disconnected).toEqual(['tls'])
    tls = redis.trust
    await until('a connection', () => opened.connection.isConnected)
    expect(opened.disconnected).toEqual(['tls'])
  })
})
