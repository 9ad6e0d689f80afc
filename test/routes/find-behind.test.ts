import { expect, test, vi } from 'vitest'
import { formatSessionCookie, type Session } from '../../src/core/session.ts'
import { createFindBehind, type FindBehindOptions } from '../../src/routes/check/find-behind.ts'
import { requestParser } from '../support/checked-request.ts'
import { identity } from '../support/session-values.ts'

const CREDENTIAL = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
const OWN = `__Host-vestibule=${formatSessionCookie(CREDENTIAL)}`
const session: Session = { identity, createdAt: 0, expiresAt: 1 }
const parse = requestParser([{ access: 'public', passesPreflight: false }])

function start() {
  const find = vi.fn<FindBehindOptions['sessions']['find']>(async () => ({
    session,
    source: 'assertion',
  }))
  const findBehind = createFindBehind({
    sessions: { find },
    realmOf: (host) => host,
    storeTimeoutMs: 250,
  })
  return { find, findBehind }
}

test('a session is found without being used, also by what stands in during an outage', async () => {
  const { find, findBehind } = start()
  const Cookie = `${OWN}; __Host-vestibule_outage=v1.a.b`
  expect(await findBehind(parse({ Cookie }))).toBe(session)
  const options = { timeoutMs: 250, isUse: false }
  expect(find.mock.calls).toMatchObject([[CREDENTIAL, 'app.example.com', options]])
  expect(find.mock.calls[0]?.[2]?.standIn?.assertion()).toBe('v1.a.b')
})

test.for(['a=b', '__Host-vestibule=v1.a.b', `${OWN}; __Host-vestibule=v1.a.b`])(
  'without a session of its own the store is not asked: %s',
  async (Cookie) => {
    const { find, findBehind } = start()
    expect(await findBehind(parse({ Cookie }))).toBeUndefined()
    expect(find).not.toHaveBeenCalled()
  },
)
