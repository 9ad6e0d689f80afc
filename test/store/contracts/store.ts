import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { describeContract, LONG_MS, newDigest, newRecords, PARTS, SHORT_MS } from './contract.ts'

export const describeStore = describeContract<Store>('a store of sessions', (given) => {
  async function isPresent(digest: string): Promise<boolean> {
    const found = await given.port.read(digest, PARTS)
    const count = PARTS.filter((part) => found[part] !== undefined).length
    expect([0, PARTS.length], 'a session has all of its records or none').toContain(count)
    return count > 0
  }

  async function createOne(ttlMs = LONG_MS): Promise<string> {
    const digest = newDigest()
    await given.port.create(digest, newRecords(), ttlMs)
    return digest
  }

  test('a created session is read whole and part by part', async () => {
    const [digest, records] = [newDigest(), newRecords()]
    await given.port.create(digest, records, LONG_MS)
    expect(await given.port.read(digest, PARTS)).toEqual(records)
    for (const part of PARTS)
      expect((await given.port.read(digest, [part]))[part]?.equals(records[part])).toBe(true)
  })

  const some = [['tokens', 'identity'], ['metadata']] as const
  test.for(some.map((parts) => ({ parts })))('only $parts are read', async ({ parts }) => {
    expect(Object.keys(await given.port.read(await createOne(), parts))).toEqual(parts)
  })

  test.for([
    ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ['a single zero', Buffer.of(0)],
    ['line ends', Buffer.from('\r\n$-1\r\n')],
    ['bytes that are no UTF-8', Buffer.from('fffefdc0af80', 'hex')],
    ['text above ASCII', Buffer.from('Zoë 🐈')],
    ['200 KiB', randomBytes(200 * 1024)],
  ] as const)('a record keeps its bytes: %s', async ([, value]) => {
    const digest = newDigest()
    await given.port.create(digest, { identity: value, tokens: value, metadata: value }, LONG_MS)
    const found = await given.port.read(digest, PARTS)
    expect(PARTS.map((part) => found[part]?.equals(value))).toEqual([true, true, true])
  })

  test('a session is present until its TTL has passed, which a read does not extend', async () => {
    const digest = await createOne(SHORT_MS)
    await given.elapse(SHORT_MS / 2)
    expect(await isPresent(digest)).toBe(true)
    await given.elapse(SHORT_MS / 2 + 50)
    expect(await isPresent(digest)).toBe(false)
  })

  test.for([
    ['a longer', SHORT_MS, LONG_MS, true],
    ['a shorter', LONG_MS, SHORT_MS, false],
  ] as const)('an extension gives all records %s TTL', async (row) => {
    const [, beforeMs, ttlMs, isStillPresent] = row
    const digest = await createOne(beforeMs)
    expect(await given.port.extend(digest, ttlMs)).toBe(true)
    await given.elapse()
    expect(await isPresent(digest)).toBe(isStillPresent)
  })

  test('a session that never was, has expired or was ended is not extended and stays absent', async () => {
    const [never, expired, ended] = [newDigest(), await createOne(SHORT_MS), await createOne()]
    await given.port.end(ended, LONG_MS, 'operator')
    await given.elapse()
    for (const [name, digest] of Object.entries({ never, expired, ended })) {
      expect(await given.port.extend(digest, LONG_MS), name).toBe(false)
      expect(await isPresent(digest), name).toBe(false)
    }
  })

  test('an ended session is absent, and a second end or that of no session is no error', async () => {
    const [one, never] = [await createOne(), newDigest()]
    for (const digest of [one, one, never]) {
      await given.port.end(digest, LONG_MS, 'operator')
      expect(await isPresent(digest)).toBe(false)
    }
  })

  test('a write after the end does not revive the session', async () => {
    const [digest, records] = [newDigest(), newRecords()]
    await given.port.create(digest, records, LONG_MS)
    await given.port.end(digest, LONG_MS, 'operator')
    // Leaves it to the implementation whether the late writer gets an error.
    await given.port.create(digest, records, LONG_MS).catch(() => undefined)
    expect(await isPresent(digest)).toBe(false)
  })

  test('a session is absent after its end, whatever raced with it', async () => {
    const digests = await Promise.all(Array.from({ length: 20 }, () => createOne()))
    await Promise.all(
      digests.flatMap((digest) => [
        given.port.extend(digest, LONG_MS),
        given.port.end(digest, LONG_MS, 'operator'),
        given.port.extend(digest, LONG_MS),
        given.port.read(digest, PARTS),
        given.port.end(digest, LONG_MS, 'operator'),
        given.port.extend(digest, LONG_MS),
      ]),
    )
    expect(await Promise.all(digests.map(isPresent))).toEqual(digests.map(() => false))
  })
})
