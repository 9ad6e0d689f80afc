import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { connectProvider } from '../../src/oidc/discovery/provider.ts'
import { providerFetch } from '../support/provider-fetch.ts'

const PATIENCE_MS = 1000
/** A timer may be a little early. */
const EARLY_MS = 10
const AT_ONCE = 20
const ROUNDS = 4

test('C13: a discovery that fails is repeated once a second, whoever asks, and each failure is reported once', async () => {
  let asked = 0
  let failures = 0
  const broken = createServer((_request, response) => {
    asked += 1
    response.writeHead(500).end()
  })
  await once(broken.listen(0, '127.0.0.1'), 'listening')
  const connection = connectProvider({
    fetch: providerFetch,
    issuerUrl: `http://127.0.0.1:${(broken.address() as AddressInfo).port}`,
    clientId: 'vestibule',
    credentials: { method: 'none' },
    onDiscovered: () => undefined,
    onDiscoveryFailed: () => (failures += 1),
  })
  const startedAtMs = performance.now()
  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await Promise.allSettled(
      Array.from({ length: AT_ONCE }, () => connection.configuration()),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['rejected']))
    // Names the cause where it is asked for (C53).
    expect(answers[0]).toMatchObject({
      reason: {
        code: 'provider_unavailable',
        message: expect.stringContaining('answered with 500') as string,
        facts: { endpoint: 'discovery', http_status: 500, setting: 'OIDC_ISSUER_URL' },
      },
    })
  }
  await expect.poll(() => failures).toBe(asked)
  // Slowness only raises what they may cost.
  const atMost = 1 + (performance.now() - startedAtMs) / (PATIENCE_MS - EARLY_MS)
  connection.close()
  broken.close().closeAllConnections()
  expect(asked).toBeLessThanOrEqual(atMost)
})
