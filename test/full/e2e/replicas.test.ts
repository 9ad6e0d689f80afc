import { expect, test } from 'vitest'
import { proxyKinds, proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { readMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { givenTo, startProxies } from '../../support/protected-app.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import { describeWithRedis, PATIENT, startReplicas } from '../../support/replicas.ts'
import { startRoundRobin } from '../../support/round-robin.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import { createVisitor, type Visit } from '../../support/visitor.ts'

const HOST = 'app.localhost'
const ORIGIN = `http://${HOST}`

async function startFleet() {
  await using stack = new AsyncDisposableStack()
  const settings = { ...PATIENT, PROTECTED_HOSTS: ORIGIN }
  const provider = { origins: [ORIGIN] }
  const { all } = stack.use(await startReplicas({ count: 3, settings, provider }))
  const spread = async (key: 'publicPort' | 'internalPort') =>
    stack.use(await startRoundRobin(all.map((each) => each[key]))).port
  const ports = {
    publicPort: await spread('publicPort'),
    internalPort: await spread('internalPort'),
  }
  const { originOf } = stack.use(await startProxies(proxyKinds, ports, () => ({ hosts: [HOST] })))
  const kept = stack.move()
  return { all, originOf, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Whom the app was told about; everything but the app's own answer is an error. */
function userOf(visit: Visit): string {
  return givenTo(givenToApp(visit), 'X-Auth-Request-User').join()
}

function checksOf(replica: RunningVestibule): Promise<number> {
  return readMetric(replica, 'vestibule_checks_total{outcome="allow",source="store"}')
}

describeWithRedis('three replicas that share a Redis', () => {
  const fleet = prepared(startFleet)

  test.for(proxyKinds)('a sign-in through %s counts everywhere', async (kind, { skip }) => {
    skip(proxyMissing(kind) !== undefined, proxyMissing(kind))
    const browser = createVisitor({ connectTo: { [HOST]: fleet().originOf(kind) } })
    expect(userOf(await browser.signIn(`${ORIGIN}/headers`, 'bob'))).toBe('bob')
    const before = await Promise.all(fleet().all.map(checksOf))
    const ask = () => browser.fetch(`${ORIGIN}/headers`)
    const visits = await Promise.all(Array.from({ length: 60 }, ask))
    expect(visits.map(userOf)).toEqual(Array(60).fill('bob'))
    const after = await Promise.all(fleet().all.map(checksOf))
    const answered = after.map((count, at) => count - Number(before[at]))
    expect(Math.min(...answered)).toBeGreaterThan(0)
    expect(answered.reduce((sum, each) => sum + each)).toBe(60)
  })
})
