import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EndReason } from '../../src/core/end-reason.ts'
import { sendLogoutToken } from '../support/backchannel-logout.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { describeWithRedis, type Replicas, startReplicasInProcess } from '../support/replicas.ts'
import { LOGIN, LOGOUT } from '../support/sign-in-steps.ts'
import { storedSession } from '../support/stored-session.ts'
import type { Visitor } from '../support/visitor.ts'

interface Held {
  readonly replicas: Replicas
  readonly browser: Visitor
  /** Digest of the session. */
  readonly id: string
}
const remove = ({ replicas }: Held, path: string) => askAdmin(replicas.first, 'DELETE', path)

/** Ways in which a request ends a session. */
const WAYS: readonly (readonly [string, EndReason, (held: Held) => Promise<unknown>])[] = [
  ['a sign-out', 'signed-out', ({ browser }) => browser.post(LOGOUT)],
  ['a new sign-in', 'replaced', ({ browser }) => browser.signIn(`${LOGIN}?rd=/oauth2/me`, 'alice')],
  ['an operator who names it', 'operator', (held) => remove(held, `sessions/${held.id}`)],
  ['an operator who names its user', 'operator', (held) => remove(held, 'sessions?user=alice')],
  ['an operator who names all', 'operator', (held) => remove(held, 'sessions?all=true')],
  [
    'the provider',
    'provider',
    async ({ replicas: { first, provider } }) =>
      sendLogoutToken(first, await provider.mintLogoutToken({ sub: 'alice' })),
  ],
]

describeWithRedis('a session in Redis', () => {
  let replicas: Replicas
  beforeAll(async () => {
    replicas = await startReplicasInProcess({ settings: { ADMIN_TOKEN } })
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  test.for(WAYS)('that is ended by %s leaves the reason %s', async ([, reason, end]) => {
    const { browser, cookie } = await replicas.signedIn('alice')
    const { digest, keyOf } = storedSession(cookie)
    await end({ replicas, browser, id: digest })
    expect(await replicas.redis.cli('GET', keyOf('tombstone'))).toBe(reason)
  })
})
