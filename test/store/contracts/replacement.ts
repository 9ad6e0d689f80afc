import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { describeContract, LONG_MS, newDigest, newRecords, PARTS, SHORT_MS } from './contract.ts'

const newTokens = (bytes = 64) => ({ identity: randomBytes(bytes), tokens: randomBytes(bytes) })

export const describeReplacement = describeContract<Store>('a store that replaces', (given) => {
  const createOne = async (ttlMs = LONG_MS) => {
    const [digest, records] = [newDigest(), newRecords()]
    await given.port.create(digest, records, ttlMs)
    return { digest, records, before: records.tokens }
  }
  const isThere = async (digest: string) =>
    (await given.port.read(digest, ['identity'])).identity !== undefined

  test('identity and tokens are replaced, and the metadata are untouched', async () => {
    const { digest, records, before } = await createOne()
    const after = newTokens(3000)
    expect(await given.port.replace(digest, after, before)).toBe('replaced')
    expect(await given.port.read(digest, PARTS)).toEqual({ ...after, metadata: records.metadata })
  })

  test('a replacement succeeds with the present tokens and fails with earlier ones', async () => {
    const { digest, before } = await createOne()
    const [first, second] = [newTokens(), newTokens()]
    await given.port.replace(digest, first, before)
    expect(await given.port.replace(digest, second, first.tokens)).toBe('replaced')
    expect(await given.port.replace(digest, newTokens(), first.tokens)).toBe('changed')
    expect(await given.port.replace(digest, newTokens(), before)).toBe('changed')
    expect(await given.port.read(digest, ['identity', 'tokens'])).toEqual(second)
  })

  test.for([
    ['other tokens', () => randomBytes(65)],
    ['no bytes', () => Buffer.alloc(0)],
    ['the beginning of the tokens', (before: Buffer) => before.subarray(0, -1)],
    ['the tokens and one byte', (before: Buffer) => Buffer.concat([before, Buffer.of(0)])],
    [
      'the tokens with one bit flipped',
      (before: Buffer) => before.map((byte, at) => byte ^ +(at === 9)),
    ],
  ] as const)('a replacement that compares with %s writes nothing', async ([, taken]) => {
    const { digest, records, before } = await createOne()
    const wrongly = Buffer.from(taken(before))
    expect(await given.port.replace(digest, newTokens(), wrongly)).toBe('changed')
    expect(await given.port.read(digest, PARTS)).toEqual(records)
  })

  test('tokens are compared and written byte by byte', async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const digest = newDigest()
    await given.port.create(digest, { identity: every, tokens: every, metadata: every }, LONG_MS)
    const after = { identity: Buffer.of(0), tokens: Buffer.from(every.toReversed()) }
    expect(await given.port.replace(digest, after, every)).toBe('replaced')
    const { identity, tokens, metadata } = await given.port.read(digest, PARTS)
    expect([identity?.equals(after.identity), tokens?.equals(after.tokens)]).toEqual([true, true])
    expect(metadata?.equals(every)).toBe(true)
  })

  test('a repeated replacement succeeds, and a late one fails', async () => {
    const { digest, before } = await createOne()
    const after = newTokens()
    expect(await given.port.replace(digest, after, before)).toBe('replaced')
    expect(await given.port.replace(digest, after, before)).toBe('replaced')
    const next = newTokens()
    await given.port.replace(digest, next, after.tokens)
    expect(await given.port.replace(digest, after, before)).toBe('changed')
    expect(await given.port.read(digest, ['identity', 'tokens'])).toEqual(next)
  })

  test('exactly one of many concurrent replacements wins, with both of its records', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { digest, before } = await createOne()
      const racers = Array.from({ length: 20 }, () => newTokens())
      const race = (after: (typeof racers)[number]) => given.port.replace(digest, after, before)
      const outcomes = await Promise.all(racers.map(race))
      expect(outcomes.filter((outcome) => outcome === 'replaced')).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(19)
      const winner = racers[outcomes.indexOf('replaced')]
      expect(await given.port.read(digest, ['identity', 'tokens'])).toEqual(winner)
    }
  })

  test.for<readonly [string, (number | undefined)?, (number | undefined)?, number?]>([
    ['never was'],
    ['has been ended', LONG_MS, LONG_MS],
    ['has outlived its tombstone', LONG_MS, SHORT_MS, SHORT_MS + 50],
    ['has expired', SHORT_MS, undefined, SHORT_MS + 50],
  ])('a replacement does not revive a session that %s', async ([, ttlMs, endMs, ms]) => {
    const [digest, records] = [newDigest(), newRecords()]
    if (ttlMs !== undefined) await given.port.create(digest, records, ttlMs)
    if (endMs !== undefined) await given.port.end(digest, endMs, 'operator')
    if (ms !== undefined) await given.elapse(ms)
    expect(await given.port.replace(digest, newTokens(), records.tokens)).toBe('gone')
    expect(await given.port.read(digest, PARTS)).toEqual({})
  })

  test('a session is absent after its end, whatever replacement raced with it', async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => createOne()))
    await Promise.all(
      sessions.flatMap(({ digest, before }) => {
        const after = newTokens()
        return [
          given.port.replace(digest, after, before),
          given.port.end(digest, LONG_MS, 'operator'),
          given.port.replace(digest, newTokens(), after.tokens),
          given.port.replace(digest, newTokens(), before),
        ]
      }),
    )
    for (const { digest } of sessions) expect(await isThere(digest)).toBe(false)
  })

  test.for([
    ['it had', SHORT_MS, undefined, false],
    ['of a longer extension', SHORT_MS, LONG_MS, true],
    ['of a shorter extension', LONG_MS, SHORT_MS, false],
  ] as const)('a replaced session keeps the TTL %s', async ([, ttlMs, givenMs, lives]) => {
    const { digest, before } = await createOne(ttlMs)
    if (givenMs !== undefined) await given.port.extend(digest, givenMs)
    expect(await given.port.replace(digest, newTokens(), before)).toBe('replaced')
    expect(await isThere(digest)).toBe(true)
    await given.elapse()
    const found = await given.port.read(digest, PARTS)
    const parts = PARTS.filter((part) => found[part] !== undefined)
    expect(parts).toEqual(lives ? PARTS : [])
  })

  test('a replaced session can be extended and ended', async () => {
    const { digest, before } = await createOne(SHORT_MS)
    await given.port.replace(digest, newTokens(), before)
    expect(await given.port.extend(digest, LONG_MS)).toBe(true)
    await given.elapse()
    expect(await isThere(digest)).toBe(true)
    await given.port.end(digest, LONG_MS, 'operator')
    expect(await isThere(digest)).toBe(false)
  })

  test('a replacement does not touch another session', async () => {
    const [one, other] = [await createOne(), await createOne()]
    expect(await given.port.replace(one.digest, newTokens(), other.before)).toBe('changed')
    await given.port.replace(one.digest, newTokens(), one.before)
    expect(await given.port.read(other.digest, PARTS)).toEqual(other.records)
  })
})
