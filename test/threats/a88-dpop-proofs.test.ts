import { beforeAll, expect, test } from 'vitest'
import {
  asProgram,
  bearerRule,
  createProofKey,
  expectTokenRefusal,
  nowSeconds,
  type ProofKey,
} from '../support/bearers.ts'
import { readMetric } from '../support/outage.ts'
import { tally } from '../support/tally.ts'
import type { ClaimChanges } from '../support/tokens.ts'
import { useBearerParty } from '../support/used-party.ts'
import type { Forwarded } from '../support/vestibule.ts'
import type { Visit } from '../support/visitor.ts'

const party = useBearerParty([
  bearerRule('/scoped/**', { scopes: ['write'] }),
  bearerRule('/once/**', {}, { oneTime: true }),
  bearerRule('/**'),
])

let key: ProofKey
let cnf: { jkt: string }
let token: string

beforeAll(async () => {
  key = await createProofKey()
  cnf = { jkt: key.thumbprint }
  token = await party.mint({ cnf })
})

type Proof = string | readonly string[] | undefined

function send(proof: Proof, forwarded: Forwarded = {}, presented = token): Promise<Visit> {
  const headers = { ...asProgram, Authorization: `DPoP ${presented}`, DPoP: proof }
  return party.check({ uri: '/api/', ...forwarded }, headers)
}

async function statusAt(uri: string, changes: ClaimChanges = {}, presented = token) {
  const proof = await key.prove(presented, { htu: `https://app.example.com${uri}`, ...changes })
  return (await send(proof, { uri }, presented)).status
}

async function expectNoProof(proof: Proof): Promise<Visit> {
  const visit = await send(proof)
  expectTokenRefusal(visit, 'invalid_dpop_proof')
  return visit
}

function replays() {
  return readMetric(party.vestibule, 'vestibule_replays_refused_total{kind="dpop"}')
}

test('a token with a fresh proof passes each time', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { status, headers } = await send(await key.prove(token))
    expect([status, headers['x-auth-request-user']]).toEqual([200, 'robot'])
  }
})

test('the proof is for the request that the visitor made, not for ours', async () => {
  const proof = await key.prove(token, { htm: 'DELETE', htu: 'https://other.example.com/a/b' })
  const forwarded = { method: 'DELETE', host: 'other.example.com', uri: '/a/b?c=d' }
  expect((await send(proof, { ...forwarded, proto: 'wss' })).status).toBe(200)
})

test('a proof passes once, and of many at once only one (A89)', async () => {
  const before = await replays()
  const proof = await key.prove(token)
  const visits = await Promise.all(Array.from({ length: 20 }, () => send(proof)))
  expect(visits.filter(({ status }) => status === 200)).toHaveLength(1)
  const again = await expectNoProof(proof)
  expect(again.headers['www-authenticate']).toContain('the proof has been used before')
  expect(await replays()).toBe(before + 20)
})

test('a jti that was spent may not come again in another proof of the same key', async () => {
  const jti = crypto.randomUUID()
  expect(await statusAt('/api/', { jti })).toBe(200)
  expect(await statusAt('/other', { jti, iat: nowSeconds() - 1 })).toBe(401)
  const second = await createProofKey()
  const secondToken = await party.mint({ cnf: { jkt: second.thumbprint } })
  expect((await send(await second.prove(secondToken, { jti }), {}, secondToken)).status).toBe(200)
})

test('a proof is spent only by a request that is let in', async () => {
  const uri = '/scoped/a'
  const poor = await key.prove(token, { htu: `https://app.example.com${uri}` })
  expectTokenRefusal(await send(poor, { uri }), 'insufficient_scope', 403)
  const rich = await party.mint({ cnf, scope: 'write' })
  const jti = crypto.randomUUID()
  expect(await statusAt(uri, { jti, htm: 'PUT' }, rich)).toBe(401)
  expect(await statusAt(uri, { jti }, rich)).toBe(200)
})

test('a token for one use that is bound to a key needs a proof (A87) and is spent with it', async () => {
  const [once, uri] = [await party.mint({ cnf }), '/once/a']
  const prove = () => key.prove(once, { htu: `https://app.example.com${uri}` })
  expect((await party.present(once, { uri })).status).toBe(401)
  expect((await send(await prove(), { uri }, once)).status).toBe(200)
  expectTokenRefusal(await send(await prove(), { uri }, once), 'invalid_token')
})

test('a proof of another method is refused, with the algorithms that a proof may have', async () => {
  const visit = await expectNoProof(await key.prove(token, { htm: 'POST' }))
  expect(visit.headers['www-authenticate']).toMatch(/, DPoP algs="[A-Za-z0-9 ]+", error=/)
  expect(visit.headers['www-authenticate']).not.toMatch(/algs="[^"]*(?:HS|none)/)
})

test('no proof, two proofs, and a value that is no proof are refused', async () => {
  const [one, other] = await Promise.all([key.prove(token), key.prove(token)])
  for (const proof of [undefined, '', 'x', [one, other], [one, one], `${one}, ${other}`]) {
    await expectNoProof(proof)
  }
  expect((await send(one)).status).toBe(200)
})

test('a proof of another key is refused', async () =>
  expectNoProof(await (await createProofKey()).prove(token)))

test('a token that is bound to no key gains nothing by a proof', async () => {
  const plain = await party.mint()
  expectTokenRefusal(await send(await key.prove(plain), {}, plain), 'invalid_token')
})

test('a token that is not good is refused before its proof is read', async () => {
  const foreign = await party.mint({ cnf }, { as: 'stranger' })
  expectTokenRefusal(await send(await key.prove(foreign), {}, foreign), 'invalid_token')
})

test('A89: a one-time token passes exactly once of many times in the same millisecond', async () => {
  for (let round = 0; round < 40; round += 1) {
    const once = await party.mint()
    const present = () => party.present(once, { uri: '/once/' })
    const visits = await Promise.all(Array.from({ length: 10 }, present))
    expect(tally(visits.map(({ status }) => status))).toEqual({ 200: 1, 401: 9 })
  }
})

test('a proof is ignored where no scheme asks for it', async () =>
  expect((await party.present(await party.mint(), {}, { DPoP: 'x' })).status).toBe(200))
