import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Generations } from '../../../src/store/generations.ts'
import { describeContract, FRACTION_MS, LONG_MS, newDigest, SHORT_MS } from './contract.ts'

export const describeGenerations = describeContract<Generations>('generations', (given) => {
  const newUser = newDigest
  const advance = (owner: string | undefined, ttlMs = LONG_MS) => given.port.advance(owner, ttlMs)
  /** Begins a sign-in. `hasEnded` tells whether an order has ended it since. */
  async function begin(user: string) {
    const generation = await given.port.current()
    return { hasEnded: async () => (await given.port.oldestOf(user)) > generation }
  }
  /** Waits longer than the slowest reading of Redis's clock, which bounds how exact a moment is. */
  const later = () => pause(500)

  test.for([
    ['the user', (user: string) => user],
    ['everybody', () => undefined],
  ] as const)('an order for %s ends sign-ins before it and none after it', async ([, ownerOf]) => {
    const user = newUser()
    for (let round = 0; round < 3; round += 1) {
      const before = await begin(user)
      // A repeated order is none for later sign-ins, either.
      for (let count = 0; count <= round; count += 1) await advance(ownerOf(user))
      const after = await begin(user)
      expect([await before.hasEnded(), await after.hasEnded()]).toEqual([true, false])
    }
  })

  test('an order for one user does not touch another', async () => {
    const other = newUser()
    const signIn = await begin(other)
    const oldest = await given.port.oldestOf(other)
    await advance(newUser())
    expect(await given.port.oldestOf(other)).toBe(oldest)
    expect(await signIn.hasEnded()).toBe(false)
  })

  test('an order for any of its owners ends a sign-in', async () => {
    const [user, session] = [newUser(), newUser()]
    const oldest = () => given.port.oldestOf(user, session)
    const generation = await given.port.current()
    expect(await oldest()).toBeLessThanOrEqual(generation)
    await advance(session)
    const ofSession = await oldest()
    expect(ofSession).toBeGreaterThan(generation)
    expect(await given.port.oldestOf(user)).toBeLessThanOrEqual(generation)
    await advance(user)
    expect(await oldest()).toBeGreaterThan(ofSession)
    expect(await given.port.oldestOf(session)).toBe(ofSession)
  })

  test('orders for a user and for everybody do not undo each other, in either sequence', async () => {
    const user = newUser()
    const signIn = await begin(user)
    for (const owner of [user, undefined]) await advance(owner)
    expect(await signIn.hasEnded()).toBe(true)
    const next = await begin(user)
    for (const owner of [undefined, user]) await advance(owner)
    expect([await signIn.hasEnded(), await next.hasEnded()]).toEqual([true, true])
  })

  test('the generation grows with each order', async () => {
    const user = newUser()
    const seen = [await given.port.current()]
    for (const owner of [user, newUser(), undefined, user, user]) {
      await advance(owner)
      seen.push(await given.port.current())
    }
    expect(seen).toEqual([...new Set(seen)].toSorted((one, other) => one - other))
    expect(seen).toHaveLength(6)
  })

  test('concurrent orders all count', async () => {
    const users = Array.from({ length: 10 }, newUser)
    const before = await Promise.all(users.map(begin))
    await Promise.all([...users, ...users, ...users, undefined, undefined].map((o) => advance(o)))
    for (const signIn of before) expect(await signIn.hasEnded()).toBe(true)
    for (const user of users) expect(await (await begin(user)).hasEnded()).toBe(false)
  })

  test.for(['a user', 'everybody'])('C73: a late order for %s ends earlier ones', async (whose) => {
    const user = newUser()
    const owner = whose === 'everybody' ? undefined : user
    const before = await begin(user)
    const asked = given.port.moment()
    await later()
    const since = await begin(user)
    await advance(newUser())
    for (let count = 0; count < 2; count++) {
      await given.port.advance(owner, LONG_MS, asked)
      expect([await before.hasEnded(), await since.hasEnded()]).toEqual([true, false])
    }
  })

  test('C73: an earlier order that arrives late does not undo a later one', async () => {
    const user = newUser()
    const asked = given.port.moment()
    await later()
    const between = await begin(user)
    await advance(user)
    await given.port.advance(user, LONG_MS, asked)
    expect(await between.hasEnded()).toBe(true)
  })

  test('an order is kept until its TTL has passed', async () => {
    const user = newUser()
    const untouched = await given.port.oldestOf(newUser())
    const signIn = await begin(user)
    await advance(user, SHORT_MS)
    expect(await signIn.hasEnded()).toBe(true)
    await given.elapse()
    expect(await given.port.oldestOf(user)).toBe(untouched)
  })

  test('a sign-in after an order is valid, also when the order for another has expired', async () => {
    const [remembered, forgotten] = [newUser(), newUser()]
    await advance(remembered)
    await advance(forgotten, SHORT_MS)
    await given.elapse(2 * SHORT_MS + 50)
    for (const user of [remembered, forgotten])
      expect(await (await begin(user)).hasEnded()).toBe(false)
  })

  test('a TTL with a fraction of a millisecond is accepted', async () => {
    const user = newUser()
    const signIn = await begin(user)
    await advance(user, FRACTION_MS)
    expect(await signIn.hasEnded()).toBe(true)
  })
})
