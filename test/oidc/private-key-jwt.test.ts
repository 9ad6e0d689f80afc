import { execFile } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, decodeProtectedHeader, exportJWK } from 'jose'
import type { JWKS } from 'oidc-provider'
import { describe, expect, test } from 'vitest'
import { base } from '../support/configuration.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { LOGOUT } from '../support/sign-in-steps.ts'
import { claimsOf } from '../support/tokens.ts'

const pemOf = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' })
const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const

/** A client that the provider knows by a key set alone. */
function startWithKey(
  settings: Readonly<Record<string, string>>,
  jwks: JWKS,
): Promise<RelyingParty> {
  const own = { client_secret: undefined, token_endpoint_auth_method: 'private_key_jwt' } as const
  const enabledJWA = { clientAuthSigningAlgValues: [...algorithms] }
  const options = { client: { ...own, jwks }, configuration: { enabledJWA } }
  return startRelyingParty({ OIDC_CLIENT_SECRET: '', ...settings }, options)
}

/** Returns the key set that `check-config` prints for the provider. */
async function keySetFor(settings: Readonly<Record<string, string>>): Promise<JWKS> {
  const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'check-config'], {
    env: { ...base, ...settings },
  })
  const [, keySet = ''] = /^# The key set to register at the provider: (.*)$/m.exec(stdout) ?? []
  expect(stdout).toContain('OIDC_CLIENT_PRIVATE_KEY=***')
  expect(stdout).not.toMatch(/PRIVATE KEY---|"d":/)
  return JSON.parse(keySet) as JWKS
}

function assertionOf(body: string) {
  const form = new URLSearchParams(body)
  const assertion = form.get('client_assertion') ?? ''
  return { form, header: decodeProtectedHeader(assertion), claims: claimsOf(assertion) }
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

describe('private_key_jwt', () => {
  test('proves who we are to the token and the revocation endpoint, each time anew', async () => {
    const settings = { OIDC_CLIENT_PRIVATE_KEY: pemOf(rsa.privateKey) }
    await using party = await startWithKey(settings, await keySetFor(settings))
    const { provider } = party
    const { browser, isSignedIn } = await party.attempt()
    expect([isSignedIn, (await browser.post(LOGOUT)).status]).toEqual([true, 303])
    const requests = [...provider.requests('token'), ...provider.requests('revocation')]
    expect(requests).toHaveLength(3)
    const ids = new Set<unknown>()
    const kid = await calculateJwkThumbprint(await exportJWK(rsa.publicKey))
    for (const { body, headers } of requests) {
      const { form, header, claims } = assertionOf(body)
      expect([headers.authorization, form.get('client_secret')]).toEqual([undefined, null])
      expect(form.get('client_assertion_type')).toBe(
        'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      )
      expect(header).toEqual({ alg: 'RS256', kid })
      expect(claims).toMatchObject({ iss: 'vestibule', sub: 'vestibule', aud: provider.issuer })
      expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBeLessThanOrEqual(60)
      ids.add(claims.jti)
    }
    expect(ids.size).toBe(3)
    expect(party.vestibule.log().filter(({ event }) => event === 'revocation_failed')).toEqual([])
  })

  test.for([
    ['PS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ] as const)('signs with %s, and with the id that the key has', async ([alg, pair]) => {
    const kid = `key-${alg}`
    const jwk = { ...pair.privateKey.export({ format: 'jwk' }), alg, kid, use: 'sig' }
    const settings = { OIDC_CLIENT_PRIVATE_KEY: JSON.stringify(jwk) }
    await using party = await startWithKey(settings, await keySetFor(settings))
    expect((await party.attempt()).isSignedIn).toBe(true)
    const [request] = party.provider.requests('token')
    expect(assertionOf(request?.body ?? '').header).toEqual({ alg, kid })
  })

  test('reads its key from a file, and tells it to nobody', async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-key-'))
    const path = join(folder.path, 'client-key.pem')
    const pem = pemOf(rsa.privateKey)
    writeFileSync(path, pem)
    const settings = { OIDC_CLIENT_PRIVATE_KEY_FILE: path, LOG_LEVEL: 'trace' }
    await using party = await startWithKey(settings, await keySetFor(settings))
    expect((await party.attempt()).isSignedIn).toBe(true)
    for (const line of pem.split('\n').filter((each) => !each.startsWith('-----') && each)) {
      expect(party.vestibule.output()).not.toContain(line)
    }
  })

  test('a key that the provider does not know signs nobody in', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const known = await keySetFor({ OIDC_CLIENT_PRIVATE_KEY: pemOf(rsa.privateKey) })
    const settings = { OIDC_CLIENT_PRIVATE_KEY: pemOf(other.privateKey) }
    await using party = await startWithKey(settings, known)
    const { answer, isSignedIn } = await party.attempt()
    expect([isSignedIn, answer.setCookies]).toEqual([false, []])
    expect(answer.url).toMatch(`${APP}/oauth2/callback`)
    expect([400, 502]).toContain(answer.status)
    expect(party.vestibule.log().find(({ event }) => event === 'refused')).toMatchObject({
      oauth_error: 'invalid_client',
      setting: 'OIDC_CLIENT_ID, OIDC_CLIENT_PRIVATE_KEY, OIDC_TOKEN_ENDPOINT_AUTH_METHOD',
    })
  })
})
