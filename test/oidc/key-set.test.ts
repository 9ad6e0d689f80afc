import { generateKeyPairSync } from 'node:crypto'
import type { JWK } from 'jose'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createKeySet, createKeySets, type TokenOrigin } from '../../src/oidc/tokens/key-set.ts'
import { letRequestsTakeForever } from '../support/endless-requests.ts'
import { takeTime } from '../support/passing-time.ts'
import { prepared } from '../support/prepared.ts'
import { faults, startTestProvider } from '../support/provider.ts'
import { providerFetch } from '../support/provider-fetch.ts'
import type { SignOptions } from '../support/tokens.ts'

const HOUR_MS = 60 * 60 * 1000
const ALICE = { payload: { sub: 'alice' } }

describe('key sets', () => {
  afterEach(() => void vi.useRealTimers())

  test('there is one for an address, whoever asks', async () => {
    await using provider = await startTestProvider()
    const keySets = createKeySets(providerFetch)
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
    const keySet = createKeySet(`${provider.issuer}/jwks`, providerFetch, () => elapsedMs)
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

/** Makes a public RSA key that has signed nothing. */
function strangerKey(bits = 2048): JWK {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  return { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }
}

const STRANGER = strangerKey()
type Coded = { readonly code: string }
const WITHOUT_KID: SignOptions = { header: { kid: undefined } }
/** Removes members of a key. */
const without = (key: JWK, ...names: readonly string[]): JWK =>
  Object.fromEntries(Object.entries(key).filter(([name]) => !names.includes(name))) as JWK

type Publish = (rsa: JWK, ec: JWK) => readonly unknown[]

describe('which published keys are tried (C27)', () => {
  const provider = prepared(() => startTestProvider())

  async function verifyWith(publish: Publish, how: SignOptions = {}): Promise<unknown> {
    provider().set('jwks', {
      rewrite: ({ keys }) => {
        const [rsa, ec] = ['RSA', 'EC'].map((kty) => (keys as JWK[]).find((key) => key.kty === kty))
        return { keys: publish(rsa as JWK, ec as JWK) }
      },
    })
    const keySet = createKeySet(`${provider().issuer}/jwks`, providerFetch)
    const token = await provider().sign({ sub: 'alice' }, how)
    return keySet.verify(token, {}, 'provider').catch(({ code }: Coded) => code)
  }

  test.for<[string, Publish, SignOptions?]>([
    ['two with its id, the other first', (rsa) => [{ ...STRANGER, kid: rsa.kid }, rsa]],
    ['two with its id, the other last', (rsa) => [rsa, { ...STRANGER, kid: rsa.kid }]],
    ['several, and the token names none', (rsa, ec) => [STRANGER, ec, rsa], WITHOUT_KID],
    ['two without an id', (rsa) => [STRANGER, without(rsa, 'kid')], WITHOUT_KID],
    ['two without an id, and the token names one', (rsa) => [STRANGER, without(rsa, 'kid')]],
    [
      'an id of null, and the token’s too',
      (rsa) => [{ ...rsa, kid: null }],
      { header: { kid: null } },
    ],
    ['neither alg nor use', (rsa) => [without(STRANGER, 'alg', 'use'), without(rsa, 'alg', 'use')]],
    ['alg, use and key_ops of null', (rsa) => [{ ...rsa, alg: null, use: null, key_ops: null }]],
    ['one for encryption first', (rsa) => [{ ...STRANGER, kid: rsa.kid, use: 'enc' }, rsa]],
    ['one of another algorithm first', (rsa) => [{ ...STRANGER, kid: rsa.kid, alg: 'PS256' }, rsa]],
    ['one of another type first', (rsa, ec) => [{ ...ec, kid: rsa.kid }, rsa]],
    ['unusable types', (rsa) => [{ kty: 'oct', k: 'AAAA', kid: rsa.kid }, { kty: 'X' }, {}, rsa]],
    ['members that are no keys', (rsa) => [null, 'key', 42, [], rsa]],
    ['broken ones', (rsa) => [{ ...rsa, n: '' }, { ...rsa, n: 7 }, { ...rsa, e: undefined }, rsa]],
    ['one that is too short', (rsa) => [{ ...strangerKey(1024), kid: rsa.kid }, rsa]],
    ['a private one', (rsa) => [{ ...STRANGER, kid: rsa.kid, d: 'AAAA' }, rsa]],
    ['fifteen others', (rsa) => [...Array<JWK>(15).fill(STRANGER), rsa], WITHOUT_KID],
    [
      'ES256 among RSA keys',
      (rsa, ec) => [STRANGER, rsa, ec],
      { ...WITHOUT_KID, as: 'provider-es256' },
    ],
  ])('the token is verified: %s', async ([, publish, how]) =>
    expect(await verifyWith(publish, how)).toMatchObject(ALICE),
  )

  const UNKNOWN = 'ERR_JWKS_NO_MATCHING_KEY'
  const UNSIGNED = 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'

  test.for<[string, Publish, string, SignOptions?]>([
    ['its id is another one', (rsa) => [rsa], UNKNOWN, { header: { kid: 'other' } }],
    ['its id is no text', (rsa) => [rsa], UNKNOWN, { header: { kid: 1 } }],
    [
      'its id is that of another key',
      (rsa, ec) => [rsa, { ...STRANGER, kid: ec.kid }],
      UNSIGNED,
      { as: 'stranger' },
    ],
    [
      'no key made its signature, and it names none',
      (_, ec) => [STRANGER, ec],
      UNKNOWN,
      WITHOUT_KID,
    ],
    ['its key is for another algorithm', (rsa) => [{ ...rsa, alg: 'PS256' }], UNKNOWN],
    ['its key is for encryption', (rsa) => [{ ...rsa, use: 'enc' }], UNKNOWN],
    [
      'its key is the seventeenth',
      (rsa) => [...Array<JWK>(16).fill(STRANGER), rsa],
      UNKNOWN,
      WITHOUT_KID,
    ],
    ['there are no keys', () => [], 'ERR_JWKS_INVALID'],
    ['there are no usable members', () => [null, 'x'], 'ERR_JWKS_INVALID'],
  ])('the token is refused: %s', async ([, publish, code, how]) =>
    expect(await verifyWith(publish, how)).toBe(code),
  )
})

describe('when keys are fetched again (C67, C70)', () => {
  const time = takeTime()
  const provider = prepared(() => startTestProvider())

  async function keptKeys() {
    provider().reset()
    const keySet = createKeySet(`${provider().issuer}/jwks`, providerFetch)
    await keySet.verify(await provider().sign({ sub: 'alice' }), {}, 'provider')
    provider().forgetRequests()
    const verify = async (how: SignOptions = {}, origin: TokenOrigin = 'anybody') =>
      keySet.verify(await provider().sign({ sub: 'alice' }, how), {}, origin)
    const madeUp = await provider().sign({ sub: 'alice' }, { header: { kid: 'made-up' } })
    const flood = (length: number) =>
      Promise.allSettled(Array.from({ length }, () => keySet.verify(madeUp, {}, 'anybody')))
    return { verify, flood, fetches: () => provider().count('jwks') }
  }

  test.for<[string, SignOptions]>([
    ['names another key', {}],
    ['names none', WITHOUT_KID],
    ['names the same, whose key is another one now', { header: { kid: 'same' } }],
  ])('once for a token after a rotation that %s', async ([, how]) => {
    const { verify, fetches } = await keptKeys()
    if (how.header?.['kid'] === 'same') await publishAs('same', verify)
    const before = fetches()
    await provider().rotateKeys()
    time.pass(1000)
    expect(await verify(how)).toMatchObject(ALICE)
    expect(await verify(how)).toMatchObject(ALICE)
    expect(fetches() - before).toBe(1)
  })

  /** Publishes every key of the provider under one id from now on. */
  async function publishAs(kid: string, verify: (how: SignOptions) => Promise<unknown>) {
    provider().set('jwks', {
      rewrite: ({ keys }) => ({ keys: (keys as JWK[]).map((key) => ({ ...key, kid })) }),
    })
    time.pass(1000)
    await verify({ header: { kid } })
  }

  test('a token within a second of the last fetch waits for the next one', async () => {
    const { verify, fetches } = await keptKeys()
    await provider().rotateKeys()
    const all = await Promise.all([verify(), verify({}, 'provider'), verify(WITHOUT_KID)])
    expect(all).toMatchObject([ALICE, ALICE, ALICE])
    expect(fetches()).toBe(1)
  })

  test('made-up tokens share one fetch, more than 200 at once are not waited for', async () => {
    const { verify, flood, fetches } = await keptKeys()
    const [answers] = await Promise.all([flood(230), verify()])
    const codes = answers.map((answer) => 'reason' in answer && (answer.reason as Coded).code)
    const count = (code: string) => codes.filter((each) => each === code).length
    expect(count('ERR_JWKS_NO_MATCHING_KEY')).toBe(200)
    expect(count('provider_unavailable')).toBe(30)
    expect(fetches()).toBe(1)
  })

  test('the provider’s own token is waited for while made-up ones fill the places', async () => {
    const { verify, flood } = await keptKeys()
    await provider().rotateKeys()
    const flooding = flood(250)
    expect(await verify({}, 'provider')).toMatchObject(ALICE)
    await flooding
  })

  test('a fetch that fails makes no unknown key: the provider is at fault, and the kept keys go on', async () => {
    const { verify } = await keptKeys()
    provider().set('jwks', faults.serverError)
    time.pass(1000)
    await expect(verify({ header: { kid: 'newer' } })).rejects.toMatchObject({
      name: 'ProviderFault',
      facts: { endpoint: 'jwks_uri', http_status: 500, url: `${provider().issuer}/jwks` },
    })
    expect(await verify()).toMatchObject(ALICE)
  })
})
