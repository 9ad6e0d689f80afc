import { expect, test, vi } from 'vitest'
import { formatSessionCookie, type Session } from '../../src/core/session.ts'
import { createFindBehind, type FindBehindOptions } from '../../src/routes/check/find-behind.ts'
import { requestParser } from '../support/checked-request.ts'
import { identity } from '../support/session-values.ts'

const CREDENTIAL = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
const OWN = `__Host-vestibule=${formatSessionCookie(CREDENTIAL)}`
const session: Session = { identity, createdAt: 0, expiresAt: 1 }
const parse = requestParser([{ access: 'public', passesPreflight: false }])

const LATE = { session, source: 'assertion' } as const
const RECALLED = { session, source: 'memory', digest: 'd', confirmedAtMs: 0 } as const

function start(recalled?: typeof RECALLED) {
  const recall = vi.fn<FindBehindOptions['sessions']['recall']>(() => recalled)
  const find = vi.fn<FindBehindOptions['sessions']['find']>(async () => LATE)
  const findBehind = createFindBehind({
    sessions: { recall, find },
    realmOf: (host) => host,
    storeTimeoutMs: 250,
  })
  return { recall, find, findBehind }
}

test('a session is found without being used, also by what stands in during an outage', async () => {
  const { recall, find, findBehind } = start()
  const Cookie = `${OWN}; __Host-vestibule_outage=v1.a.b`
  expect(await findBehind(parse({ Cookie }))).toBe(session)
  const options = { timeoutMs: 250, isUse: false }
  expect(recall.mock.calls).toEqual([[CREDENTIAL, 'app.example.com', false]])
  expect(find.mock.calls).toMatchObject([[CREDENTIAL, 'app.example.com', options]])
  expect(find.mock.calls[0]?.[2]?.standIn?.assertion()).toBe('v1.a.b')
})

test('a session in memory costs the store nothing', async () => {
  const { find, findBehind } = start(RECALLED)
  expect(await findBehind(parse({ Cookie: OWN }))).toBe(session)
  expect(find).not.toHaveBeenCalled()
})

test.for(['a=b', '__Host-vestibule=v1.a.b', `${OWN}; __Host-vestibule=v1.a.b`])(
  'without a session of its own nothing is asked: %s',
  async (Cookie) => {
    const { recall, find, findBehind } = start()
    expect(await findBehind(parse({ Cookie }))).toBeUndefined()
    expect([recall.mock.calls, find.mock.calls]).toEqual([[], []])
  },
)

test('a flood of cookies has 100 look-ups under way, and goes on after they end or fail', async () => {
  const { find, findBehind } = start()
  const flood = () => Array.from({ length: 150 }, () => findBehind(parse({ Cookie: OWN })))
  for (const round of [1, 2, 3]) {
    const answer = Promise.withResolvers<typeof LATE>()
    find.mockImplementation(() => answer.promise)
    const found = flood()
    expect(find).toHaveBeenCalledTimes(100 * round)
    expect(await Promise.all(found.slice(100))).toEqual(Array.from({ length: 50 }))
    if (round === 2) answer.reject(new Error('Redis does not answer'))
    else answer.resolve(LATE)
    await Promise.allSettled(found)
  }
})
