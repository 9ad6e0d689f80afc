import { describe, expect, test } from 'vitest'
import { userOwner } from '../../src/session/owners.ts'
import type { RecordPart } from '../../src/store/store.ts'
import {
  away,
  DAY_MS,
  identity,
  outage,
  STARTED_AT,
  sessionDigest,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const ALICE = userOwner(identity.issuer, 'alice').id
const BOB = userOwner(identity.issuer, 'bob').id

/** Three of Alice's and one of Bob's, an hour apart. */
const start = async (changes: Parameters<typeof startSessions>[0] = {}) => {
  const started = startSessions(changes)
  const digests: string[] = []
  for (const [subject, sid] of [
    ['alice', 'sid-1'],
    ['alice', 'sid-2'],
    ['bob', 'sid-3'],
    ['alice', 'sid-4'],
  ] as const) {
    digests.push(sessionDigest(await started.open(sessionOf(subject, sid))))
    started.elapse(3_600_000)
  }
  return { ...started, digests: digests as [string, string, string, string] }
}
const digestsOf = (listed: readonly { readonly digest: string }[]) =>
  listed.map(({ digest }) => digest).toSorted()

describe('the list of sessions', () => {
  test('of everybody has each with what is known of it without its cookie', async () => {
    const { sessions, digests } = await start()
    const listed = await sessions.list(undefined, 10)
    expect(digestsOf(listed)).toEqual(digests.toSorted())
    const createdAt = STARTED_AT + 2 * 3_600_000
    expect(listed).toContainEqual({
      ...sessionOf('bob', 'sid-3').metadata,
      digest: digests[2],
      createdAt,
      endsAt: createdAt + DAY_MS,
    })
  })

  test("of a user has theirs and nobody else's, whatever an index says", async () => {
    const { sessions, index, digests } = await start()
    const [first, second, ofBob, last] = digests
    await index.add(ofBob, { user: ALICE }, DAY_MS)
    expect(digestsOf(await sessions.list(ALICE, 10))).toEqual([first, second, last].toSorted())
    expect(digestsOf(await sessions.list(BOB, 10))).toEqual([ofBob])
    expect(await sessions.list('nobody', 10)).toEqual([])
  })

  test.for([
    [0, 0],
    [1, 1],
    [3, 3],
    [4, 4],
    [5, 4],
    [1_000_000, 4],
  ] as const)('of up to %i has %i, and reads no more', async ([limit, count], { expect }) => {
    const { sessions, calls } = await start()
    calls.length = 0
    expect(await sessions.list(undefined, limit)).toHaveLength(count)
    expect(calls).toEqual(Array.from({ length: count }, () => 'read metadata'))
    expect(await sessions.list(ALICE, limit)).toHaveLength(Math.min(limit, 3))
  })

  test('has a session once that a store names twice', async () => {
    const { sessions, digests } = await start({
      wrap: (store) => ({
        ...store,
        async *list() {
          for await (const portion of store.list()) yield [...portion, ...portion]
        },
      }),
    })
    expect(digestsOf(await sessions.list(undefined, 10))).toEqual(digests.toSorted())
  })

  test('what was skipped does not count towards the limit', async () => {
    const { sessions, store, digests } = await start()
    await store.end(digests[0], DAY_MS)
    expect(digestsOf(await sessions.list(ALICE, 2))).toEqual([digests[1], digests[3]].toSorted())
  })

  test('is told of a record that does not open, and leaves it out', async () => {
    const { sessions, store, digests, integrityFailures } = await start()
    const [digest] = digests
    const { identity, tokens } = (await store.read(digest, ['identity', 'tokens'])) as Record<
      RecordPart,
      Buffer
    >
    await store.create(digest, { identity, tokens, metadata: Buffer.from('noise') }, DAY_MS)
    expect(await sessions.list(undefined, 10)).toHaveLength(3)
    expect(await sessions.list(ALICE, 10)).toHaveLength(2)
    expect(integrityFailures).toEqual(Array(2).fill(`vestibule:{${digest}}:m`))
  })

  test('has no session that has ended, by its end or by its time', async () => {
    const { sessions, digests, elapse } = await start()
    await sessions.end(digests[1])
    expect(digestsOf(await sessions.list(ALICE, 10))).toEqual([digests[0], digests[3]].toSorted())
    elapse(DAY_MS - 4 * 3_600_000)
    expect(digestsOf(await sessions.list(ALICE, 10))).toEqual([digests[3]])
    expect(await sessions.list(undefined, 10)).toHaveLength(2)
  })

  test.for([
    ['an outage', outage],
    ['another failure', away],
  ] as const)('of a store that is away is no list: %s', async ([, fail], { expect }) => {
    let isAway = false
    const { index } = startSessions()
    const { sessions } = await start({
      wrap: (store) => ({
        ...store,
        async *list() {
          yield* store.list()
          if (isAway) fail()
        },
      }),
      index: { ...index, list: async (...asked) => (isAway ? fail() : index.list(...asked)) },
    })
    isAway = true
    const refused = expect.objectContaining({ code: 'store_unavailable' }) as Error
    await expect(sessions.list(undefined, 10)).rejects.toThrow(refused)
    await expect(sessions.list(ALICE, 10)).rejects.toThrow(refused)
  })

  test('of which a part cannot be read is none', async () => {
    let reads = 0
    const { sessions } = await start({
      wrap: (store) => ({
        ...store,
        read: async (...asked) => (reads++ === 2 ? outage() : store.read(...asked)),
      }),
    })
    await expect(sessions.list(undefined, 10)).rejects.toThrow(
      expect.objectContaining({ code: 'store_unavailable' }) as Error,
    )
  })
})
