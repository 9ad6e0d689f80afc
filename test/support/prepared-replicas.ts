import { expect } from 'vitest'
import { expectChecksRefused, expectChecksStoodIn, OUTAGE_COOKIE } from './outage.ts'
import { type Replicas, untilStarted } from './replicas.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Replicas that let people go on while Redis is away, beside those of a test that do not. */
export type PreparedReplicas = Awaited<ReturnType<typeof prepareReplicas>>

/** The outage assertion that a browser is given with its first page, as it sends it. */
export async function takeAssertion(vestibule: RunningVestibule, cookie: string): Promise<string> {
  const { status, setCookies } = await vestibule.check({}, { Cookie: cookie })
  expect(status).toBe(200)
  expect(setCookies).toHaveLength(1)
  const [pair = ''] = setCookies[0]?.split(';') ?? []
  expect(pair).toMatch(new RegExp(`^${OUTAGE_COOKIE}=.`))
  return pair
}

/** Two replicas with the default grace: one that has seen the user, and one that has not. */
export async function prepareReplicas(replicas: Replicas, session: string, user = 'alice') {
  const grace = { SESSION_OUTAGE_GRACE: '300' }
  const [knowing, newcomer] = await Promise.all([replicas.add(grace), replicas.add(grace)])
  await Promise.all([knowing, newcomer].map(untilStarted))
  const cookie = `${session}; ${await takeAssertion(knowing, session)}`
  return {
    cookie,
    knowing,
    /** Asserts that the user goes on at a replica that knows them, and with the assertion also at one that does not. */
    expectGoingOn: async () => {
      await expectChecksStoodIn(knowing, session, 'l1', user)
      await expectChecksStoodIn(newcomer, cookie, 'assertion', user)
      await expectChecksRefused(newcomer, session)
    },
  }
}
