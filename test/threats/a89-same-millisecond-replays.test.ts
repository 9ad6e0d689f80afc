import { describe, expect, test } from 'vitest'
import { bearerRule, createProofKey } from '../support/bearers.ts'
import { tally } from '../support/tally.ts'
import { useBearerParty } from '../support/used-party.ts'
import type { Visit } from '../support/visitor.ts'

const party = useBearerParty([bearerRule('/once/**', {}, { oneTime: true }), bearerRule('/**')])
const ROUNDS = 40
const AT_ONCE = 10

async function sendAtOnce(count: number, send: () => Promise<Visit>) {
  const visits = await Promise.all(Array.from({ length: count }, send))
  return tally(visits.map(({ status }) => status))
}

describe('A89 the same thing many times in the same millisecond, at one replica', () => {
  test('a one-time token passes exactly once, and the rest are refused without an error', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const token = await party.mint()
      const counts = await sendAtOnce(AT_ONCE, () => party.present(token, { uri: '/once/' }))
      expect(counts).toEqual({ 200: 1, 401: AT_ONCE - 1 })
    }
  })

  test('a proof passes exactly once', async () => {
    const key = await createProofKey()
    const token = await party.mint({ cnf: { jkt: key.thumbprint } })
    for (let round = 0; round < ROUNDS; round += 1) {
      const headers = { Authorization: `DPoP ${token}`, DPoP: await key.prove(token) }
      const counts = await sendAtOnce(AT_ONCE, () => party.present(token, {}, headers))
      expect(counts).toEqual({ 200: 1, 401: AT_ONCE - 1 })
    }
  })

  test('an ordinary token passes each time', async () => {
    const token = await party.mint()
    expect(await sendAtOnce(50, () => party.present(token))).toEqual({ 200: 50 })
  })
})
