import { expect, test } from 'vitest'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { OUTAGE_COOKIE, script } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { faults } from '../../support/provider.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis, PATIENT, startReplicasInProcess } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const rules: readonly RuleSource[] = [
  { paths: ['/guests/**'], access: 'optional' },
  { paths: ['/strict/**'], access: 'optional', degraded: 'deny' },
  { access: 'signed-in' },
]

type Path = '/guests/a' | '/strict/a'

/** Returns the user of whom an optional page is told, empty for nobody, for a page and a script alike. */
async function userAt(vestibule: RunningVestibule, uri: Path, cookie: string): Promise<unknown> {
  const visits = await Promise.all(
    [{}, script].map((headers) => vestibule.check({ uri }, { ...headers, Cookie: cookie })),
  )
  for (const { status, location, setCookies } of visits) {
    expect([status, location]).toEqual([200, undefined])
    expect(setCookies.filter((line) => !line.startsWith(`${OUTAGE_COOKIE}=`))).toEqual([])
  }
  const users = new Set(visits.map(({ headers }) => headers['x-auth-request-user']))
  return [...users].join()
}

describeWithRedis.for([
  ['redis', '0', ''],
  ['redis', '300', 'alice'],
  ['hybrid', '0', ''],
  ['hybrid', '300', 'alice'],
] as const)('Redis away in %s mode with a grace of %s s', ([mode, grace, known]) => {
  const world = prepared(() =>
    startReplicasInProcess({
      rules,
      settings: {
        ...PATIENT,
        ALLOW_ANY_USER: '',
        PUBLIC_PATHS: '',
        REDIS_CACHE_MODE: mode,
        REDIS_HYBRID_L1_TTL: '1',
        SESSION_OUTAGE_GRACE: grace,
      },
    }),
  )

  test('an optional page is there, and knows the user only by what may stand in', async () => {
    const { first, network, signedIn } = world()
    const { cookie } = await signedIn()
    expect(await userAt(first, '/guests/a', cookie)).toBe('alice')
    expect(await userAt(first, '/strict/a', cookie)).toBe('alice')
    await network.refuse()
    await expect.poll(() => userAt(first, '/strict/a', cookie)).toBe('')
    await expect.poll(() => userAt(first, '/guests/a', cookie)).toBe(known)
    const { status } = await first.check({ uri: '/' }, { Cookie: cookie })
    expect(status).toBe(known === '' ? 503 : 200)
    await network.accept()
    await expect.poll(() => userAt(first, '/strict/a', cookie)).toBe('alice')
  })
})

const LIFE_SECONDS = 2

describeWithRedis('the provider away, with tokens that have ended and are passed on', () => {
  const world = prepared(() =>
    refreshing.startRefreshingReplicas({
      count: 1,
      rules,
      settings: { PASS_ACCESS_TOKEN: 'true', ALLOW_ANY_USER: '', PUBLIC_PATHS: '' },
    }),
  )

  test('an optional page is there without a user, and with the user once it has been asked for', async () => {
    const { first, provider, signedInFor } = world()
    const { cookie, issuedAtMs } = await signedInFor(LIFE_SECONDS)
    await refreshing.untilEnded(issuedAtMs, LIFE_SECONDS)
    provider.set('token', faults.down)
    expect(await userAt(first, '/guests/a', cookie)).toBe('')
    expect((await first.check({}, { Cookie: cookie })).status).toBe(503)
    provider.reset('token')
    // The first page begins the refresh, once the pause after the failure is over; it waits for none.
    await expect.poll(() => userAt(first, '/guests/a', cookie)).toBe('alice')
  })
})
