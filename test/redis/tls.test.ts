import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import type { RedisTls } from '../../src/redis/target.ts'
import { type Authority, createAuthority } from '../../stand-ins/certificates.ts'
import { type RedisTlsOptions, type RunningRedis, startRedis } from '../support/redis.ts'
import { openConnection, until } from '../support/redis-state.ts'

const DAY_MS = 86_400_000
/** For who waits for a greeting that never comes: whatever comes of it, it is no connection. */
const NEVER_MS = 300

/** What comes of connecting: `connected`, or the class of the failure. */
const outcomeOf = async (
  { port }: RunningRedis,
  tls: RedisTls | undefined,
  host = '127.0.0.1',
  connectTimeoutMs = 10_000,
): Promise<string> => {
  await using opened = openConnection({ host, port, ...(tls && { tls }) }, connectTimeoutMs)
  await opened.connection.firstAttempt
  if (!opened.connection.isConnected) return opened.disconnected[0] ?? 'nothing'
  expect(await opened.connection.run(undefined, (client) => client.ping(), 10_000)).toBe('PONG')
  return 'connected'
}

const start = async (options: Partial<RedisTlsOptions> = {}) => {
  const authority = options.authority ?? (await createAuthority())
  const redis = await startRedis({ tls: { ...options, authority } })
  return Object.assign(redis, { ca: authority.certificate, authority })
}
const clientPems = async ({ clientFiles }: RunningRedis) => ({
  cert: await readFile(clientFiles.certificate, 'utf8'),
  key: await readFile(clientFiles.key, 'utf8'),
})
const issuedBy = async (
  issue: (authority: Authority) => ReturnType<Authority['issue']>,
): Promise<RedisTlsOptions> => {
  const authority = await createAuthority()
  return { authority, certificate: await issue(authority) }
}

describe('a connection with TLS', () => {
  test('is made where the authority is known, by name and by address', async () => {
    await using redis = await start()
    const tls = { ca: redis.ca, skipVerify: false }
    expect(await outcomeOf(redis, tls)).toBe('connected')
    expect(await outcomeOf(redis, tls, 'localhost')).toBe('connected')
  })

  test('is refused for an unknown authority, and made when nobody looks', async () => {
    await using redis = await start()
    const other = await createAuthority()
    expect(await outcomeOf(redis, { ca: other.certificate, skipVerify: false })).toBe('tls')
    expect(await outcomeOf(redis, { skipVerify: false })).toBe('tls')
    expect(await outcomeOf(redis, { skipVerify: true })).toBe('connected')
  })

  test('is refused for another name, and made when nobody looks', async () => {
    const options = await issuedBy((authority) => authority.issue(['redis.example.com']))
    await using redis = await start(options)
    expect(await outcomeOf(redis, { ca: redis.ca, skipVerify: false })).toBe('tls')
    expect(await outcomeOf(redis, { ca: redis.ca, skipVerify: false }, 'localhost')).toBe('tls')
    expect(await outcomeOf(redis, { ca: redis.ca, skipVerify: true })).toBe('connected')
  })

  test('is refused for an expired certificate, and made when nobody looks', async () => {
    const names = ['localhost', '127.0.0.1']
    const options = await issuedBy((authority) => authority.issue(names, -DAY_MS))
    await using redis = await start(options)
    expect(await outcomeOf(redis, { ca: redis.ca, skipVerify: false })).toBe('tls')
    expect(await outcomeOf(redis, { ca: redis.ca, skipVerify: true })).toBe('connected')
  })

  test('is never replaced by one without: a server that speaks none is refused', async () => {
    await using redis = await startRedis()
    for (const skipVerify of [true, false]) {
      expect(await outcomeOf(redis, { skipVerify }, undefined, NEVER_MS)).toMatch(
        /^(?:tls|connection|deadline)$/,
      )
    }
    expect(await redis.cli('DBSIZE')).toBe('0')
  })

  test('is not made by accident: without it a server that wants it is refused', async () => {
    await using redis = await start()
    expect(await outcomeOf(redis, undefined, undefined, NEVER_MS)).toMatch(
      /^(?:tls|connection|deadline)$/,
    )
  })

  test('takes a certificate of ours where the server asks for one', async () => {
    await using redis = await start({ requireClientCertificate: true })
    const ca = { ca: redis.ca, skipVerify: false }
    expect(await outcomeOf(redis, { ...ca, ...(await clientPems(redis)) })).toBe('connected')
    expect(await outcomeOf(redis, ca)).toBe('tls')
    const stranger = await (await createAuthority()).issue(['vestibule'])
    const strange = { cert: stranger.certificate, key: stranger.privateKey }
    expect(await outcomeOf(redis, { ...ca, ...strange })).toBe('tls')
  })

  test('with files that are none fails as TLS does', async () => {
    await using redis = await start()
    const { key } = await clientPems(redis)
    const ca = { ca: redis.ca, skipVerify: false }
    expect(await outcomeOf(redis, { ...ca, cert: 'no certificate', key })).toBe('tls')
    const other = await (await createAuthority()).issue(['vestibule'])
    expect(await outcomeOf(redis, { ...ca, cert: other.certificate, key })).toBe('tls')
  })

  test('renewed files are taken with the next connection', async () => {
    await using redis = await start()
    let tls: RedisTls = { ca: (await createAuthority()).certificate, skipVerify: false }
    await using opened = openConnection(() => ({ port: redis.port, tls }))
    await opened.connection.firstAttempt
    expect(opened.disconnected).toEqual(['tls'])
    tls = { ca: redis.ca, skipVerify: false }
    await until('a connection', () => opened.connection.isConnected)
    expect(opened.disconnected).toEqual(['tls'])
  })
})
