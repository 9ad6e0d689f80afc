import { expect, test } from 'vitest'
import type { OneTimeKeys } from '../../../src/store/one-time-keys.ts'
import { describeContract, FRACTION_MS, LONG_MS, newId, SHORT_MS } from './contract.ts'

export const describeOneTimeKeys = describeContract<OneTimeKeys>('one-time marks', (given) => {
  const consume = (key: string, attemptId = newId(), ttlMs = LONG_MS) =>
    given.port.consume({ kind: 'login', key, attemptId }, ttlMs)
  const extend = (key: string, attemptId: string, kind: 'login' | 'id-token' = 'login') =>
    given.port.extend({ kind, key, attemptId }, LONG_MS)
  const release = (key: string, attemptId: string, kind: 'login' | 'id-token' = 'login') =>
    given.port.release({ kind, key, attemptId })

  test('a key is consumed by its first attempt, as often as it tries, and by no other', async () => {
    const [key, attempt] = [newId(), newId()]
    const consumed = []
    for (const by of [attempt, attempt, newId(), newId(), attempt])
      consumed.push(await consume(key, by))
    expect(consumed).toEqual([true, true, false, false, true])
  })

  test('exactly one of many concurrent attempts wins', async () => {
    for (let round = 0; round < 20; round++) {
      const key = newId()
      const attempts = Array.from({ length: 25 }, newId)
      const won = await Promise.all(attempts.map((attempt) => consume(key, attempt)))
      expect(won.filter(Boolean)).toHaveLength(1)
      expect(await consume(key, attempts[won.indexOf(true)])).toBe(true)
    }
  })

  test('one attempt that is sent many times at once wins every time', async () => {
    const [key, attempt] = [newId(), newId()]
    const won = await Promise.all(Array.from({ length: 25 }, () => consume(key, attempt)))
    expect(new Set(won)).toEqual(new Set([true]))
  })

  test('keys and kinds are independent', async () => {
    const [key, other] = [newId(), newId()]
    const asIdToken = () =>
      given.port.consume({ kind: 'id-token', key, attemptId: newId() }, LONG_MS)
    expect([await consume(key), await asIdToken(), await consume(other)]).toEqual(
      Array(3).fill(true),
    )
    expect(await asIdToken()).toBe(false)
  })

  test('a mark holds until its TTL has passed, which a refused attempt does not extend', async () => {
    const key = newId()
    expect(await consume(key, newId(), SHORT_MS)).toBe(true)
    await given.elapse(SHORT_MS / 2)
    expect(await consume(key)).toBe(false)
    await given.elapse(SHORT_MS / 2 + 50)
    expect(await consume(key)).toBe(true)
  })

  test('a TTL with a fraction of a millisecond is accepted', async () => {
    expect(await consume(newId(), newId(), FRACTION_MS)).toBe(true)
  })

  test('a mark is extended by its own attempt and by no other', async () => {
    const [key, attempt] = [newId(), newId()]
    await consume(key, attempt, SHORT_MS)
    expect(await extend(key, newId())).toBe(false)
    expect(await extend(key, attempt, 'id-token')).toBe(false)
    expect(await extend(key, attempt)).toBe(true)
    await given.elapse()
    expect([await consume(key), await consume(key, attempt)]).toEqual([false, true])
  })

  test('an absent or expired mark is not extended', async () => {
    const [key, attempt] = [newId(), newId()]
    expect(await extend(key, attempt)).toBe(false)
    await consume(key, attempt, SHORT_MS)
    await given.elapse()
    expect([await extend(key, attempt), await consume(key)]).toEqual([false, true])
  })

  test('a mark that its attempt has released can be consumed by another', async () => {
    const [key, attempt] = [newId(), newId()]
    await consume(key, attempt)
    await release(key, attempt)
    expect([await consume(key), await consume(key, attempt)]).toEqual([true, false])
  })

  test('a mark is not released by another attempt, kind or key', async () => {
    const [key, attempt] = [newId(), newId()]
    await consume(key, attempt)
    await release(key, newId())
    await release(key, attempt, 'id-token')
    await release(newId(), attempt)
    expect(await consume(key)).toBe(false)
  })

  test('the release of an absent mark is no error, and a late one spares the new owner', async () => {
    const [key, late, next] = [newId(), newId(), newId()]
    await release(key, late)
    await consume(key, late)
    await release(key, late)
    await consume(key, next)
    await release(key, late)
    expect([await consume(key), await consume(key, next)]).toEqual([false, true])
  })
})
