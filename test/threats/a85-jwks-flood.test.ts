import { generateKeyPair, SignJWT } from 'jose'
import { afterAll, describe, expect, test } from 'vitest'
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
/** The pause between two fetches of the key set. */
const PAUSE_MS = 1000
const time = takeTime('still')
afterAll(() => time[Symbol.dispose]())

/** Tokens of a key that nobody published, each with a `kid` of its own. */
const strangers = async (issuer: string): Promise<readonly string[]> => {
  const { privateKey } = await generateKeyPair('ES256')
  const claims = { iss: issuer, aud: AUDIENCE, sub: 's', client_id: 'c', exp: nowSeconds() + 300 }
  return Promise.all(
    Array.from({ length: FLOOD }, () =>
      new SignJWT({ ...claims, iat: nowSeconds(), jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: crypto.randomUUID() })
        .sign(privateKey),
    ),
  )
}

interface Flood {
  readonly statuses: ReadonlySet<number>
  readonly fetches: number
}

const flood = async (
  party: BearerParty,
  tokens: readonly string[],
  fetches: () => number,
): Promise<Flood> => {
  const before = fetches()
  const statuses = new Set<number>()
  const left = [...tokens]
  const send = async () => {
    for (let token = left.pop(); token !== undefined; token = left.pop()) {
      statuses.add((await party.present(token)).status)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, send))
  return { statuses, fetches: fetches() - before }
}

describe('A85 a flood of tokens with unknown keys', () => {
  test('fetches the key set once per pause, and each is refused at once', async () => {
    await using party = await startBearerParty([bearerRule('/**')])
    const good = await party.mint()
    expect((await party.present(good)).status).toBe(200)
    time.pass(PAUSE_MS)
    const tokens = await strangers(party.provider.issuer)
    const { statuses, fetches } = await flood(party, tokens, () => party.provider.count('jwks'))
    expect(statuses).toEqual(new Set([401]))
    expect(fetches).toBe(1)
    expect((await party.present(await party.mint())).status).toBe(200)
  })

  test('leaves those with known keys alone while the key set cannot be had', async () => {
    await using party = await startBearerParty([bearerRule('/**')])
    expect((await party.present(await party.mint())).status).toBe(200)
    time.pass(PAUSE_MS)
    party.provider.set('jwks', faults.serverError)
    const tokens = await strangers(party.provider.issuer)
    const { statuses, fetches } = await flood(party, tokens, () => party.provider.count('jwks'))
    expect(statuses).toEqual(new Set([503]))
    expect(fetches).toBe(1)
    expect((await party.present(await party.mint())).status).toBe(200)
  })

  test('asks an issuer that does not answer once per pause', async () => {
    await using party = await startBearerParty([bearerRule('/**')])
    party.provider.set('jwks', faults.serverError)
    const tokens = await strangers(party.provider.issuer)
    const { statuses, fetches } = await flood(party, tokens, () => party.provider.count('jwks'))
    expect(statuses).toEqual(new Set([503]))
    expect(fetches).toBe(1)
    party.provider.reset()
    time.pass(PAUSE_MS)
    expect((await party.present(await party.mint())).status).toBe(200)
  })

  test('a token of an issuer that no rule names causes no request at all', async () => {
    await using party = await startBearerParty([bearerRule('/**')])
    await party.present(await party.mint())
    party.provider.forgetRequests()
    for (const iss of [`${party.provider.issuer}/`, `${party.provider.issuer}/other`]) {
      expect((await party.present(await party.mint({ iss }))).status).toBe(401)
    }
    expect(party.provider.count('jwks') + party.provider.count('discovery')).toBe(0)
  })
})
