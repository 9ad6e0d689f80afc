import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type BearerParty,
  bearerRule,
  createProofKey,
  startBearerParty,
} from '../support/bearers.ts'

let party: BearerParty

beforeAll(async () => {
  party = await startBearerParty([bearerRule('/once/**', {}, { oneTime: true }), bearerRule('/**')])
})
afterAll(() => party[Symbol.asyncDispose]())

const ROUNDS = 40
const AT_ONCE = 10

/** How many of the requests that were sent at once got each status. */
const tally = (statuses: readonly number[]): Record<number, number> =>
  Object.fromEntries(
    Map.groupBy(statuses, (status) => status)
      .entries()
      .map(([status, all]) => [status, all.length]),
  )

describe('A89 the same thing many times in the same millisecond, at one replica', () => {
  test('a one-time token passes exactly once, and the rest are refused without an error', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const token = await party.mint()
      const visits = await Promise.all(
        Array.from({ length: AT_ONCE }, () => party.present(token, { uri: '/once/' })),
      )
      expect(tally(visits.map(({ status }) => status))).toEqual({ 200: 1, 401: AT_ONCE - 1 })
    }
  })

  test('a proof passes exactly once', async () => {
    const key = await createProofKey()
    const token = await party.mint({ cnf: { jkt: key.thumbprint } })
    for (let round = 0; round < ROUNDS; round += 1) {
      const headers = { Authorization: `DPoP ${token}`, DPoP: await key.prove(token) }
      const visits = await Promise.all(
        Array.from({ length: AT_ONCE }, () => party.present(token, {}, headers)),
      )
      expect(tally(visits.map(({ status }) => status))).toEqual({ 200: 1, 401: AT_ONCE - 1 })
    }
  })

  test('an ordinary token passes each time', async () => {
    const token = await party.mint()
    const visits = await Promise.all(Array.from({ length: 50 }, () => party.present(token)))
    expect(tally(visits.map(({ status }) => status))).toEqual({ 200: 50 })
  })
})
