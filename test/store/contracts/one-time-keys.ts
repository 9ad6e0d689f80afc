import { expect, test } from 'vitest'
import type { OneTimeKeys } from '../../../src/store/one-time-keys.ts'
import { describeContract, FRACTION_MS, LONG_MS, newId, SHORT_MS } from './describe-contract.ts'

export const describeOneTimeKeys = describeContract<OneTimeKeys>(
  'marks of consumption',
  (given) => {
    const consume = (key: string, attemptId = newId(), ttlMs = LONG_MS) =>
      given.port.consume('login', key, attemptId, ttlMs)
    const extend = (key: string, attemptId: string, kind: 'login' | 'id-token' = 'login') =>
      given.port.extend(kind, key, attemptId, LONG_MS)

    test('a key is consumed by its first attempt and by no other', async () => {
      const key = newId()
      expect([await consume(key), await consume(key), await consume(key)]).toEqual([
        true,
        false,
        false,
      ])
    })

    test('a repeated attempt is no replay, before and after a foreign one', async () => {
      const [key, attempt] = [newId(), newId()]
      expect([await consume(key, attempt), await consume(key, attempt)]).toEqual([true, true])
      expect([await consume(key), await consume(key, attempt)]).toEqual([false, true])
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
      const consumeAs = (kind: 'login' | 'id-token', name: string) =>
        given.port.consume(kind, name, newId(), LONG_MS)
      expect(await consumeAs('login', key)).toBe(true)
      expect(await consumeAs('id-token', key)).toBe(true)
      expect(await consumeAs('login', other)).toBe(true)
      expect(await consumeAs('id-token', key)).toBe(false)
    })

    test('a mark holds until its TTL has passed', async () => {
      const key = newId()
      const next = () => consume(key, newId(), SHORT_MS)
      expect([await next(), await next()]).toEqual([true, false])
      await given.elapse()
      expect(await next()).toBe(true)
    })

    test('a refused attempt does not extend the mark', async () => {
      const key = newId()
      await consume(key, newId(), SHORT_MS)
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
      expect(await extend(key, attempt)).toBe(false)
      expect(await consume(key)).toBe(true)
    })

    test('a mark that its attempt has released can be consumed by another', async () => {
      const [key, attempt] = [newId(), newId()]
      await consume(key, attempt)
      await given.port.release('login', key, attempt)
      expect([await consume(key), await consume(key, attempt)]).toEqual([true, false])
    })

    test('a mark is not released by another attempt, kind or key', async () => {
      const [key, attempt] = [newId(), newId()]
      await consume(key, attempt)
      await given.port.release('login', key, newId())
      await given.port.release('id-token', key, attempt)
      await given.port.release('login', newId(), attempt)
      expect(await consume(key)).toBe(false)
    })

    test('the release of an absent mark is no error, and a late one spares the new owner', async () => {
      const [key, late, next] = [newId(), newId(), newId()]
      await given.port.release('login', key, late)
      await consume(key, late)
      await given.port.release('login', key, late)
      await consume(key, next)
      await given.port.release('login', key, late)
      expect([await consume(key), await consume(key, next)]).toEqual([false, true])
    })
  },
)
