import { generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import {
  AUDIENCE,
  type BearerParty,
  bearerRule,
  nowSeconds,
  startBearerParty,
} from '../support/bearers.ts'
import { takeTime } from '../support/passing-time.ts'
import { faults } from '../support/provider.ts'

const FLOOD = 500
const AT_ONCE = 25

const PAUSE_MS = 1000
const time = takeTime('still')

async function makeStrangers(iss: string): Promise<string[]> {
  const { privateKey } = await generateKeyPair('ES256')
  const claims = { iss, aud: AUDIENCE, sub: 's', client_id: 'c', exp: nowSeconds() + 300 }
  return Promise.all(
    Array.from({ length: FLOOD }, () =>
      new SignJWT({ ...claims, iat: nowSeconds(), jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: crypto.randomUUID() })
        .sign(privateKey),
    ),
  )
}

/** Presents all of them, a few at a time, and asserts the status of each and a single fetch of the key set. */
async function expectOneFetch({ provider, present }: BearerParty, status: number): Promise<void> {
  const before = provider.count('jwks')
  const left = await makeStrangers(provider.issuer)
  const statuses = new Set<number>()
  const send = async () => {
    for (let token = left.pop(); token !== undefined; token = left.pop()) {
      statuses.add((await present(token)).status)
    }
  }

  await Promise.all(Array.from({ length: AT_ONCE }, send))
  expect([[...statuses], provider.count('jwks') - before]).toEqual([[status], 1])
}

async function expectPasses({ present, mint }: BearerParty): Promise<void> {
  expect((await present(await mint())).status).toBe(200)
}

test('fetches the key set once per pause, and each is refused at once', async () => {
  await using party = await startBearerParty([bearerRule('/**')])
  await expectPasses(party)
  time.pass(PAUSE_MS)
  await expectOneFetch(party, 401)
  await expectPasses(party)
})

test('leaves those with known keys alone while the key set cannot be had', async () => {
  await using party = await startBearerParty([bearerRule('/**')])
  await expectPasses(party)
  time.pass(PAUSE_MS)
  party.provider.set('jwks', faults.serverError)
  await expectOneFetch(party, 503)
  await expectPasses(party)
})

test('asks an issuer that does not answer once per pause (C13)', async () => {
  await using party = await startBearerParty([bearerRule('/**')])
  party.provider.set('jwks', faults.serverError)
  await expectOneFetch(party, 503)
  party.provider.reset()
  time.pass(PAUSE_MS)
  await expectPasses(party)
})
