import { generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  asProgram,
  type BearerParty,
  bearerRule,
  createProofKey,
  expectTokenRefusal,
  nowSeconds,
  type ProofKey,
  startBearerParty,
} from '../support/bearers.ts'
import type { ClaimChanges } from '../support/tokens.ts'
import type { Forwarded } from '../support/vestibule.ts'

let party: BearerParty
let key: ProofKey
let token: string

beforeAll(async () => {
  party = await startBearerParty([
    bearerRule('/scoped/**', { scopes: ['write'] }),
    bearerRule('/once/**', {}, { oneTime: true }),
    bearerRule('/**'),
  ])
  key = await createProofKey()
  token = await party.mint({ cnf: { jkt: key.thumbprint } })
})
afterAll(() => party[Symbol.asyncDispose]())

const send = (
  proof: string | readonly string[] | undefined,
  forwarded: Forwarded = {},
  presented = token,
) =>
  party.vestibule.check(
    { uri: '/api/', ...forwarded },
    { ...asProgram, Authorization: `DPoP ${presented}`, DPoP: proof },
  )

const replays = async (): Promise<string | undefined> => {
  const { body } = await party.vestibule.internal('/metrics')
  return /replays_refused_total\{kind="dpop"\} (\d+)/.exec(body)?.[1]
}

describe('A88 attacks on proofs of possession', () => {
  test('a token with a fresh proof passes each time', async () => {
    for (let round = 0; round < 3; round += 1) {
      const visit = await send(await key.prove(token))
      expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'robot' } })
    }
  })

  test('the proof is for the request that the visitor made, not for ours', async () => {
    const htu = 'https://other.example.com/a/b'
    const proof = await key.prove(token, { htm: 'DELETE', htu })
    const forwarded = { method: 'DELETE', host: 'other.example.com', uri: '/a/b?c=d' }
    expect((await send(proof, { ...forwarded, proto: 'wss' })).status).toBe(200)
  })

  test('a proof passes once, and of many at once only one', async () => {
    const before = Number(await replays())
    const proof = await key.prove(token)
    const visits = await Promise.all(Array.from({ length: 20 }, () => send(proof)))
    expect(visits.filter(({ status }) => status === 200)).toHaveLength(1)
    const again = await send(proof)
    expectTokenRefusal(again, 'invalid_dpop_proof')
    expect(again.headers['www-authenticate']).toContain('the proof has been used before')
    expect(Number(await replays())).toBe(before + 20)
  })

  test('a jti that was spent may not come again in another proof of the same key', async () => {
    const jti = crypto.randomUUID()
    expect((await send(await key.prove(token, { jti }))).status).toBe(200)
    const other = { jti, htu: 'https://app.example.com/other', iat: nowSeconds() - 1 }
    expect((await send(await key.prove(token, other), { uri: '/other' })).status).toBe(401)
    const second = await createProofKey()
    const secondToken = await party.mint({ cnf: { jkt: second.thumbprint } })
    const proof = await second.prove(secondToken, { jti })
    expect((await send(proof, {}, secondToken)).status).toBe(200)
  })

  test('a proof is spent only by a request that is let in', async () => {
    const htu = 'https://app.example.com/scoped/a'
    const poor = await key.prove(token, { htu })
    expectTokenRefusal(await send(poor, { uri: '/scoped/a' }), 'insufficient_scope', 403)
    const rich = await party.mint({ cnf: { jkt: key.thumbprint }, scope: 'write' })
    const jti = crypto.randomUUID()
    expect(
      (await send(await key.prove(rich, { htu, jti, htm: 'PUT' }), { uri: '/scoped/a' }, rich))
        .status,
    ).toBe(401)
    expect(
      (await send(await key.prove(rich, { htu, jti }), { uri: '/scoped/a' }, rich)).status,
    ).toBe(200)
  })

  test('a token for one use that is bound to a key needs a proof and is spent with it', async () => {
    const once = await party.mint({ cnf: { jkt: key.thumbprint } })
    const htu = 'https://app.example.com/once/a'
    const prove = () => key.prove(once, { htu })
    expect((await party.present(once, { uri: '/once/a' })).status).toBe(401)
    expect((await send(await prove(), { uri: '/once/a' }, once)).status).toBe(200)
    expectTokenRefusal(await send(await prove(), { uri: '/once/a' }, once), 'invalid_token')
  })

  test.for<[string, () => ClaimChanges]>([
    ['another method', () => ({ htm: 'POST' })],
    ['our own address', () => ({ htu: 'http://127.0.0.1/auth' })],
    ['http for https', () => ({ htu: 'http://app.example.com/api/' })],
    ['another host', () => ({ htu: 'https://other.example.com/api/' })],
    ['another path', () => ({ htu: 'https://app.example.com/api/x' })],
    ['an old iat', () => ({ iat: nowSeconds() - 90 })],
    ['an iat from the future', () => ({ iat: nowSeconds() + 90 })],
    ['no ath', () => ({ ath: undefined })],
    ['another ath', () => ({ ath: 'x' })],
    ['no jti', () => ({ jti: undefined })],
    ['a jti of 4 KB', () => ({ jti: 'j'.repeat(4000) })],
    ['a jti of 100 KB', () => ({ jti: 'j'.repeat(30_000) })],
  ])('a proof is refused: %s', async ([, changes]) => {
    const visit = await send(await key.prove(token, changes()))
    expectTokenRefusal(visit, 'invalid_dpop_proof')
    expect(visit.headers['www-authenticate']).toMatch(/, DPoP algs="[A-Za-z0-9 ]+", error=/)
    expect(visit.headers['www-authenticate']).not.toMatch(/algs="[^"]*(?:HS|none)/)
  })

  test('no proof, two proofs, and something that is none', async () => {
    const [one, other] = await Promise.all([key.prove(token), key.prove(token)])
    for (const proof of [undefined, '', 'x', [one, other], [one, one], `${one}, ${other}`]) {
      expectTokenRefusal(await send(proof), 'invalid_dpop_proof')
    }
    expect((await send(one)).status).toBe(200)
  })

  test('a proof of another key', async () => {
    const thief = await createProofKey()
    expectTokenRefusal(await send(await thief.prove(token)), 'invalid_dpop_proof')
  })

  test('a token that is bound to no key gains nothing by a proof', async () => {
    const plain = await party.mint()
    expectTokenRefusal(await send(await key.prove(plain), {}, plain), 'invalid_token')
  })

  test('a token that is not good is refused before its proof is looked at', async () => {
    const foreign = await party.mint({ cnf: { jkt: key.thumbprint } }, { as: 'stranger' })
    expectTokenRefusal(await send(await key.prove(foreign), {}, foreign), 'invalid_token')
  })

  test('a proof says nothing where no scheme asks for it', async () => {
    const plain = await party.mint()
    expect((await party.present(plain, {}, { DPoP: 'x' })).status).toBe(200)
  })

  test('a huge key is refused before any arithmetic with it', async () => {
    const { privateKey } = await generateKeyPair('RS256')
    const jwk = { kty: 'RSA', e: 'AQAB', n: Buffer.alloc(2048, 0xff).toString('base64url') }
    const proof = await new SignJWT({ jti: 'j', iat: nowSeconds() })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'RS256', jwk })
      .sign(privateKey)
    const imported = vi.spyOn(crypto.subtle, 'importKey')
    expectTokenRefusal(await send(proof), 'invalid_dpop_proof')
    const formats = imported.mock.calls.map(([format]) => format)
    imported.mockRestore()
    expect(formats).not.toContain('jwk')
  })
})
