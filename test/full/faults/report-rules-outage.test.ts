import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { countEvents, readMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, PATIENT, startReplicasInProcess } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

const rules: readonly RuleSource[] = [
  { name: 'closing', access: 'deny', report: true },
  { paths: ['/public/**'], access: 'public' },
  { access: 'signed-in' },
]

function strangeCookie(): string {
  const part = () => randomBytes(32).toString('base64url')
  return `${SESSION_COOKIE}=v1.${part()}.${part()}`
}

describeWithRedis('a report rule over public pages while Redis does not answer', () => {
  const world = prepared(() =>
    startReplicasInProcess({
      count: 1,
      rules,
      settings: { ...PATIENT, ALLOW_ANY_USER: '', PUBLIC_PATHS: '', REDIS_CACHE_MODE: 'redis' },
    }),
  )

  test('a flood of cookies changes no answer, leaves no line, and is over when Redis is back', async () => {
    const { first, network, signedIn } = world()
    const { cookie } = await signedIn()
    const ask = (Cookie: string) => first.check({ uri: '/public/a' }, { Cookie })
    const counted = () => readMetric(first, 'vestibule_rules_would_deny_total{rule="closing"}')
    network.blackhole()
    for (let round = 0; round < 5; round++) {
      const visits = await Promise.all(Array.from({ length: 100 }, () => ask(strangeCookie())))
      expect(visits.map(({ status }) => status)).toEqual(visits.map(() => 200))
    }
    // Is answered after the look-ups of the flood, which have the same time.
    expect((await first.check({ uri: '/' }, { Cookie: cookie })).status).toBe(503)
    expect(await counted()).toBe(0)
    expect(countEvents(first, 'report_failed') + countEvents(first, 'would_deny')).toBe(0)
    network.flow()
    const askedAgain = async () => {
      expect((await ask(cookie)).status).toBe(200)
      return counted()
    }
    await expect.poll(askedAgain).toBeGreaterThan(0)
  })
})
