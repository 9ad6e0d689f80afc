import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { healthcheck } from '../../src/commands/healthcheck.ts'
import { internalListeners } from '../../src/commands/internal-listener.ts'

const ANY = ['http://127.0.0.1:4181', 'http://[::1]:4181']

test.for([
  [{}, ANY],
  [{ HOST: '', INTERNAL_PORT: '' }, ANY],
  [{ HOST: '0.0.0.0', INTERNAL_PORT: '5000' }, ['http://127.0.0.1:5000']],
  [{ HOST: '::' }, ANY],
  [{ HOST: '::1' }, ['http://[::1]:4181']],
  [{ HOST: '192.0.2.7' }, ['http://192.0.2.7:4181']],
  [{ HOST: 'vestibule.internal' }, ['http://vestibule.internal:4181']],
] as const)('with %o the service of this machine is asked at %s', ([environment, origins]) => {
  expect(internalListeners(environment)).toEqual(origins)
})

test('a service that listens at one address alone is asked there', async (ctx) => {
  const paths: (string | undefined)[] = []
  const server = createServer((incoming, outgoing) => {
    paths.push(incoming.url)
    outgoing.end()
  })
  const isBound = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(0, '127.0.0.2', () => resolve(true))
  })
  if (!isBound) ctx.skip('127.0.0.2 is no address of this machine')
  try {
    const INTERNAL_PORT = String((server.address() as AddressInfo).port)
    expect(await healthcheck({ HOST: '127.0.0.2', INTERNAL_PORT })).toBe(0)
    expect(await healthcheck({ HOST: '127.0.0.1', INTERNAL_PORT })).toBe(1)
    expect(paths).toEqual(['/readyz'])
  } finally {
    server.close()
  }
})
