import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createKeySet } from '../../src/oidc/key-set.ts'
import { connectProvider } from '../../src/oidc/provider.ts'

const PATIENCE_MS = 1000
/** A timer may be a little early. */
const EARLY_MS = 10
const AT_ONCE = 20
const ROUNDS = 4

let asked = 0
let issuer: string
const broken = createServer((_request, response) => {
  asked += 1
  response.writeHead(500).end()
})
beforeAll(async () => {
  await once(broken.listen(0, '127.0.0.1'), 'listening')
  issuer = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`
})
beforeEach(() => {
  asked = 0
})
afterAll(() => broken.close().closeAllConnections())

/** Many who ask at once, again and again; each is refused. Slowness only raises what they may cost. */
async function askMany(ask: () => Promise<unknown>) {
  const startedAtMs = performance.now()
  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await Promise.allSettled(Array.from({ length: AT_ONCE }, ask))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['rejected']))
  }
  return 1 + (performance.now() - startedAtMs) / (PATIENCE_MS - EARLY_MS)
}

test('C13: a discovery that fails is repeated once a second, whoever asks, and each failure is reported once', async () => {
  let failures = 0
  const connection = connectProvider({
    issuerUrl: issuer,
    clientId: 'vestibule',
    credentials: { method: 'none' },
    onDiscovered: () => undefined,
    onDiscoveryFailed: () => (failures += 1),
  })
  const atMost = await askMany(() => connection.configuration())
  connection.close()
  expect(asked).toBeLessThanOrEqual(atMost)
  expect(failures).toBe(asked)
})

test('C13: a key set that fails is fetched once a second, whatever tokens come', async () => {
  const keys = createKeySet(new URL(`${issuer}/jwks`))
  const token = { payload: '', signature: '' }
  let kid = 0
  const atMost = await askMany(
    () => keys({ alg: 'RS256', kid: `${(kid += 1)}` }, token) as Promise<unknown>,
  )
  expect(asked).toBeLessThanOrEqual(atMost)
})
