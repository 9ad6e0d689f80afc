import { expect, test } from 'vitest'
import type { Owners, SessionsByOwner } from '../../../src/store/sessions-by-owner.ts'
import { describeContract, FRACTION_MS, LONG_MS, newDigest, SHORT_MS } from './contract.ts'

export const describeSessionsByOwner = describeContract<SessionsByOwner>(
  'sessions by owner',
  (given) => {
    const newOwners = () => ({ user: newDigest(), providerSession: newDigest() })
    async function addOne(owners: Owners, ttlMs = LONG_MS): Promise<string> {
      const digest = newDigest()
      await given.port.add(digest, owners, ttlMs)
      return digest
    }
    const remove = (digest: string, owners: Owners) => given.port.remove(digest, owners)
    const ofUser = async ({ user }: Owners) => (await given.port.list('user', user)).toSorted()
    const ofProviderSession = (owners: { readonly providerSession: string }) =>
      given.port.list('providerSession', owners.providerSession)

    test('a session is found by its user and by its provider session, until its TTL has passed', async () => {
      const owners = newOwners()
      expect([await ofUser(owners), await ofProviderSession(owners)]).toEqual([[], []])
      const digest = await addOne(owners, SHORT_MS)
      expect([await ofUser(owners), await ofProviderSession(owners)]).toEqual([[digest], [digest]])
      await given.elapse()
      expect([await ofUser(owners), await ofProviderSession(owners)]).toEqual([[], []])
    })

    test('a session without a provider session is found by its user', async () => {
      const owners = { user: newDigest() }
      const digest = await addOne(owners)
      expect(await ofUser(owners)).toEqual([digest])
      await remove(digest, owners)
      expect(await ofUser(owners)).toEqual([])
    })

    test('a user and a provider session of the same name are different owners', async () => {
      const same = newDigest()
      const both = { user: newDigest(), providerSession: same }
      const [ofSameUser, session] = [await addOne({ user: same }), await addOne(both)]
      expect([await ofUser({ user: same }), await ofProviderSession(both)]).toEqual([
        [ofSameUser],
        [session],
      ])
      await remove(session, both)
      expect(await ofUser({ user: same })).toEqual([ofSameUser])
    })

    test('lost entries are removed where they expire in time, from this owner alone', async () => {
      const [owners, other] = [newOwners(), newOwners()]
      const [early, late, kept] = [await addOne(owners), await addOne(owners), await addOne(owners)]
      const foreign = await addOne(other)
      await given.port.add(late, owners, 3 * LONG_MS)
      const owner = { kind: 'user', id: owners.user } as const
      await given.port.removeLost(owner, [early, late, foreign, newDigest()], 2 * LONG_MS)
      await given.port.removeLost({ ...owner, id: newDigest() }, [kept], 2 * LONG_MS)
      expect(await ofUser(owners)).toEqual([kept, late].toSorted())
      expect(await ofUser(other)).toEqual([foreign])
      expect(await ofProviderSession(owners)).toContain(early)
      await given.port.removeLost(owner, [kept, late], 4 * LONG_MS)
      expect(await ofUser(owners)).toEqual([])
    })

    test('a user has the sessions of several provider sessions', async () => {
      const first = newOwners()
      const second = { ...newOwners(), user: first.user }
      const [one, other] = [await addOne(first), await addOne(second)]
      expect(await ofUser(first)).toEqual([one, other].toSorted())
      expect(await ofProviderSession(first)).toEqual([one])
      expect(await ofProviderSession(second)).toEqual([other])
    })

    test('200 sessions of one user, added at once, are all found and removed', async () => {
      const owners = newOwners()
      const digests = await Promise.all(Array.from({ length: 200 }, () => addOne(owners)))
      expect(await ofUser(owners)).toEqual(digests.toSorted())
      await Promise.all(digests.slice(1).map((digest) => remove(digest, owners)))
      expect(await ofUser(owners)).toEqual([digests[0]])
    })

    test.for([
      ['first', [LONG_MS, SHORT_MS]],
      ['last', [SHORT_MS, LONG_MS]],
    ] as const)('an index lasts as long as its longest entry, added %s', async ([, ttlsMs]) => {
      const owners = newOwners()
      const digests = [await addOne(owners, ttlsMs[0]), await addOne(owners, ttlsMs[1])]
      await given.elapse()
      expect(await ofUser(owners)).toEqual([digests[ttlsMs.indexOf(LONG_MS)]])
    })

    test('an entry is extended when it is added again, and not by another entry', async () => {
      const owners = newOwners()
      const [digest, passing] = [await addOne(owners, SHORT_MS), await addOne(owners, SHORT_MS)]
      await given.port.add(digest, owners, LONG_MS)
      await given.elapse()
      expect(await ofUser(owners)).toEqual([digest])
      await addOne(owners)
      expect(await ofUser(owners)).not.toContain(passing)
    })

    test('a read does not extend an entry', async () => {
      const owners = newOwners()
      await addOne(owners, SHORT_MS)
      await given.elapse(SHORT_MS / 2)
      await ofUser(owners)
      await given.elapse(SHORT_MS / 2 + 50)
      expect(await ofUser(owners)).toEqual([])
    })

    test('a removal is no error for an absent entry, leaves the others, and may be undone', async () => {
      const [owners, others] = [newOwners(), newOwners()]
      await remove(newDigest(), owners)
      const [digest, other] = [await addOne(owners), await addOne(others)]
      await remove(newDigest(), owners)
      await remove(digest, others)
      expect(await ofUser(owners)).toEqual([digest])
      await remove(digest, owners)
      await remove(digest, owners)
      expect([await ofUser(owners), await ofUser(others)]).toEqual([[], [other]])
      // A session that is added again, and twice, is listed once.
      for (let count = 0; count < 2; count += 1) await given.port.add(digest, owners, LONG_MS)
      expect(await ofUser(owners)).toEqual([digest])
    })

    test('the removal of an entry keeps the TTL of the other', async () => {
      const owners = newOwners()
      const [longer, shorter] = [await addOne(owners, LONG_MS), await addOne(owners, SHORT_MS)]
      await remove(longer, owners)
      expect(await ofUser(owners)).toEqual([shorter])
      await given.elapse()
      expect(await ofUser(owners)).toEqual([])
    })

    test('a TTL with a fraction of a millisecond is accepted', async () => {
      const owners = newOwners()
      const digest = await addOne(owners, FRACTION_MS)
      expect(await ofUser(owners)).toEqual([digest])
    })
  },
)
