import { describe, expect, test } from 'vitest'
import { userOwner } from '../../src/session/owners.ts'
import * as given from '../support/started-sessions.ts'

const ALICE = userOwner(given.identity.issuer, 'alice').id
const BOB = userOwner(given.identity.issuer, 'bob').id
const HOUR_MS = 3_600_000

async function start(changes: Parameters<typeof given.startSessions>[0] = {}) {
  const started = given.startSessions(changes)
  const open = async (subject: string, sid: string) => {
    const credential = await started.open(given.sessionOf(subject, sid))
    started.elapse(HOUR_MS)
    return credential
  }
  const [first, second] = [await open('alice', 'sid-1'), await open('alice', 'sid-2')]
  const [third, last] = [await open('bob', 'sid-3'), await open('alice', 'sid-4')]
  const digests = [first, second, third, last].map(given.sessionDigest)
  const { list } = started.sessions
  const listed = async (user: string | undefined, limit = 10) =>
    (await list(user, limit)).map(({ digest }) => digests.indexOf(digest)).toSorted((a, b) => a - b)
  return { ...started, list, listed, first, digests: digests as [string, string, string, string] }
}

describe('the list of sessions', () => {
  test('that of everybody holds the metadata of each', async () => {
    const { list, listed, digests } = await start()
    expect(await listed(undefined)).toEqual([0, 1, 2, 3])
    const createdAt = given.STARTED_AT + 2 * HOUR_MS
    const life = { createdAt, endsAt: createdAt + given.DAY_MS }
    const ofBob = { ...given.sessionOf('bob', 'sid-3').metadata, digest: digests[2], ...life }
    expect(await list(undefined, 10)).toContainEqual(ofBob)
  })

  test('that of a user holds theirs only, whatever the index says', async () => {
    const { listed, index, digests } = await start()
    await index.add(digests[2], { user: ALICE }, given.DAY_MS)
    expect([await listed(ALICE), await listed(BOB)]).toEqual([[0, 1, 3], [2]])
    expect(await listed('nobody')).toEqual([])
  })

  test.for([
    [0, 0],
    [1, 1],
    [3, 3],
    [4, 4],
    [5, 4],
    [1_000_000, 4],
  ] as const)('a limit of %i gives %i sessions and as many reads', async ([limit, count]) => {
    const { list, calls } = await start()
    calls.length = 0
    expect(await list(undefined, limit)).toHaveLength(count)
    expect(calls).toEqual(Array(count).fill('read metadata'))
    expect(await list(ALICE, limit)).toHaveLength(Math.min(limit, 3))
  })

  test('a session that the store names twice is listed once', async () => {
    const { listed } = await start({ wrap: given.listingTwice })
    expect(await listed(undefined)).toEqual([0, 1, 2, 3])
  })

  test('an entry without a session does not count towards the limit', async () => {
    const { listed, store, digests } = await start()
    await store.end(digests[0], given.DAY_MS, 'operator')
    expect(await listed(ALICE, 2)).toEqual([1, 3])
  })

  test('a record that does not open is left out and reported', async () => {
    const { listed, overwrite, first, digests, integrityFailures } = await start()
    await overwrite(first, { metadata: Buffer.from('noise') })
    expect([await listed(undefined), await listed(ALICE)]).toEqual([
      [1, 2, 3],
      [1, 3],
    ])
    expect(integrityFailures).toEqual(Array(2).fill(`vestibule:{${digests[0]}}:m`))
  })

  test('a session that has ended or expired is not listed', async () => {
    const { sessions, listed, digests, elapse } = await start()
    await sessions.end(digests[1], 'operator')
    expect(await listed(ALICE)).toEqual([0, 3])
    elapse(given.DAY_MS - 4 * HOUR_MS)
    expect([await listed(ALICE), await listed(undefined)]).toEqual([[3], [2, 3]])
  })

  test.for([
    ['an outage', given.outage, undefined, 'scan'],
    ['an outage', given.outage, ALICE, 'list'],
    ['another failure', given.away, undefined, 'scan'],
    ['another failure', given.away, ALICE, 'list'],
    ['an outage', given.outage, undefined, 'read'],
  ] as const)('%s rejects: nothing is listed', async ([, fail, user, step]) => {
    const started = await start()
    started.break(step, fail, step === 'read' ? 2 : 0)
    await expect(started.list(user, 10)).rejects.toThrow(given.STORE_AWAY)
  })
})
