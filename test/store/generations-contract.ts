import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Generations } from '../../src/store/generations.ts'
import { FRACTION_MS, LONG_MS, type Make, newDigest, SHORT_MS, type UnderTest } from './contract.ts'

/** What all `Generations` do, whatever they are made of. */
export const describeGenerations = (name: string, make: Make<Generations>): void => {
  describe(`${name} as generations of sign-ins`, () => {
    let made: UnderTest<Generations>
    let generations: Generations
    beforeAll(async () => {
      made = await make()
      generations = made.subject
    })
    afterAll(() => made.close?.())

    const newUser = newDigest
    /** A sign-in that begins now, and whether it has lost since. */
    const begin = async (user: string) => {
      const generation = await generations.current()
      return { hasLost: async () => (await generations.oldestOf(user)) > generation }
    }

    /** Later than the slowest answer about the time, which is how exactly a moment can be told. */
    const later = () => pause(500)

    test('a sign-in of a user of whom nothing was ended counts', async () => {
      const signIn = await begin(newUser())
      expect(await signIn.hasLost()).toBe(false)
    })

    test.for([
      ['the user', (user: string) => user],
      ['everybody', () => undefined],
    ] as const)(
      'what began before all sessions of %s were ended has lost, and what began after counts',
      async ([, whose], { expect }) => {
        const user = newUser()
        for (let round = 0; round < 3; round += 1) {
          const before = await begin(user)
          await generations.advance(whose(user), LONG_MS)
          const after = await begin(user)
          expect([await before.hasLost(), await after.hasLost()]).toEqual([true, false])
        }
      },
    )

    test('ending those of one user is no matter of the others', async () => {
      const [user, other] = [newUser(), newUser()]
      const signIn = await begin(other)
      const oldest = await generations.oldestOf(other)
      await generations.advance(user, LONG_MS)
      expect(await generations.oldestOf(other)).toBe(oldest)
      expect(await signIn.hasLost()).toBe(false)
    })

    test('what has several owners has lost with the first of them', async () => {
      const [user, session] = [newUser(), newUser()]
      const oldest = () => generations.oldestOf(user, session)
      const generation = await generations.current()
      expect(await oldest()).toBeLessThanOrEqual(generation)
      await generations.advance(session, LONG_MS)
      const ofSession = await oldest()
      expect(ofSession).toBeGreaterThan(generation)
      expect(await generations.oldestOf(user)).toBeLessThanOrEqual(generation)
      await generations.advance(user, LONG_MS)
      expect(await oldest()).toBeGreaterThan(ofSession)
      expect(await generations.oldestOf(session)).toBe(ofSession)
    })

    test('ending those of everybody brings back nothing of a user that was ended before, or later', async () => {
      const user = newUser()
      const signIn = await begin(user)
      await generations.advance(user, LONG_MS)
      await generations.advance(undefined, LONG_MS)
      expect(await signIn.hasLost()).toBe(true)
      const next = await begin(user)
      await generations.advance(undefined, LONG_MS)
      await generations.advance(user, LONG_MS)
      expect([await signIn.hasLost(), await next.hasLost()]).toEqual([true, true])
    })

    test('the generation grows each time and never falls', async () => {
      const user = newUser()
      const seen = [await generations.current()]
      for (const whose of [user, newUser(), undefined, user, user]) {
        await generations.advance(whose, LONG_MS)
        seen.push(await generations.current())
      }
      expect(seen).toEqual([...new Set(seen)].toSorted((one, other) => one - other))
      expect(seen).toHaveLength(6)
    })

    test('an end that is carried out twice ends what began before, and nothing else', async () => {
      const user = newUser()
      const before = await begin(user)
      await generations.advance(user, LONG_MS)
      await generations.advance(user, LONG_MS)
      const after = await begin(user)
      expect([await before.hasLost(), await after.hasLost()]).toEqual([true, false])
    })

    test('many ends at once each count', async () => {
      const users = Array.from({ length: 10 }, newUser)
      const before = await Promise.all(users.map(begin))
      const ends = [...users, ...users, ...users, undefined, undefined]
      await Promise.all(ends.map((whose) => generations.advance(whose, LONG_MS)))
      for (const signIn of before) expect(await signIn.hasLost()).toBe(true)
      for (const user of users) {
        const after = await begin(user)
        expect(await after.hasLost()).toBe(false)
      }
    })

    test('C73: what is ended late has lost if it had begun when that was asked for, and counts if it began since', async () => {
      for (const whose of [newUser(), undefined]) {
        const user = whose ?? newUser()
        const before = await begin(user)
        const asked = generations.moment()
        await later()
        const since = await begin(user)
        // Neither ends of others meanwhile nor a repetition of the order change anything.
        await generations.advance(newUser(), LONG_MS)
        await generations.advance(whose, LONG_MS, asked)
        expect([await before.hasLost(), await since.hasLost()]).toEqual([true, false])
        await generations.advance(whose, LONG_MS, asked)
        expect([await before.hasLost(), await since.hasLost()]).toEqual([true, false])
      }
    })

    test('C73: a later order is not taken back by an earlier one that comes late', async () => {
      const user = newUser()
      const asked = generations.moment()
      await later()
      const between = await begin(user)
      await generations.advance(user, LONG_MS)
      await generations.advance(user, LONG_MS, asked)
      expect(await between.hasLost()).toBe(true)
    })

    test('the end is remembered for its time, and then no longer', async () => {
      const user = newUser()
      const untouched = await generations.oldestOf(newUser())
      const signIn = await begin(user)
      await generations.advance(user, SHORT_MS)
      expect(await signIn.hasLost()).toBe(true)
      await made.elapse(SHORT_MS + 50)
      expect(await generations.oldestOf(user)).toBe(untouched)
    })

    test('what begins after the end of one user counts, also when that of others is forgotten', async () => {
      const [remembered, forgotten] = [newUser(), newUser()]
      await generations.advance(remembered, LONG_MS)
      await generations.advance(forgotten, SHORT_MS)
      await made.elapse(2 * SHORT_MS + 50)
      for (const user of [remembered, forgotten]) {
        const signIn = await begin(user)
        expect(await signIn.hasLost()).toBe(false)
      }
    })

    test('a time of a part of a millisecond more is still a time', async () => {
      const user = newUser()
      const signIn = await begin(user)
      await generations.advance(user, FRACTION_MS)
      expect(await signIn.hasLost()).toBe(true)
    })
  })
}
