import { afterEach, describe, expect, test, vi } from 'vitest'
import { createKeySet, createKeySets } from '../../src/oidc/key-set.ts'
import { letRequestsTakeForever } from '../support/endless-requests.ts'
import { faults, startTestProvider } from '../support/provider.ts'

const HOUR_MS = 60 * 60 * 1000
const ALICE = { payload: { sub: 'alice' } }

describe('key sets', () => {
  afterEach(() => void vi.useRealTimers())

  test('there is one for an address, whoever asks', async () => {
    await using provider = await startTestProvider()
    const keySets = createKeySets()
    const uri = `${provider.issuer}/jwks`
    expect(keySets(uri)).toBe(keySets(uri))
    expect(keySets(uri)).not.toBe(keySets(`${uri}/other`))
    const token = await provider.sign({ sub: 'alice' })
    await Promise.all(Array.from({ length: 10 }, () => keySets(uri).verify(token, {}, 'provider')))
    expect(provider.count('jwks')).toBe(1)
  })

  test('a provider that hangs is not waited for where there is a last good set', async () => {
    await using provider = await startTestProvider()
    let elapsedMs = 0
    const keySet = createKeySet(new URL(`${provider.issuer}/jwks`), () => elapsedMs)
    const token = await provider.sign({ sub: 'alice' })
    await keySet.verify(token, {}, 'provider')
    elapsedMs = HOUR_MS
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + HOUR_MS })
    provider.set('jwks', faults.hangs)
    using _ = letRequestsTakeForever()
    expect(await keySet.verify(token, {}, 'provider')).toMatchObject(ALICE)
    expect(provider.count('jwks')).toBe(2)
  })
})
