import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { words } from '../support/words.ts'

const start = () => {
  const observed = { sessions: 0, bytes: 0, isDiscovered: false, waiting: 0 }
  const metrics = createMetrics({ hasRedis: false })
  metrics.observe({
    cachedSessions: () => observed.sessions,
    cachedBytes: () => observed.bytes,
    isProviderDiscovered: () => observed.isDiscovered,
    eventStreams: () => 0,
    revocationsWaiting: () => observed.waiting,
    redis: undefined,
  })
  const read = async (name: string): Promise<Record<string, number>> => {
    const text = await metrics.registry.metrics()
    const found = text.matchAll(new RegExp(`^vestibule_${name}(\\{.*\\}|) (\\S+)$`, 'gm'))
    return Object.fromEntries(
      Array.from(found, ([, labels = '', value]) => [labels, Number(value)]),
    )
  }
  return { metrics, observed, read }
}

describe('the counts of checks', () => {
  test('each outcome and source is counted by itself', async () => {
    const { metrics, read } = start()
    const atStart = {
      '{outcome="sign_in",source="none"}': 0,
      '{outcome="unavailable",source="none"}': 0,
    }
    expect(await read('checks_total')).toEqual(atStart)
    metrics.check('allow', 'memory', 0.0001)
    metrics.check('allow', 'memory', 0.0001)
    metrics.check('allow', 'store', 0.002)
    metrics.check('refused', 'none', 0.00001)
    expect(await read('checks_total')).toEqual({
      ...atStart,
      '{outcome="allow",source="memory"}': 2,
      '{outcome="allow",source="store"}': 1,
      '{outcome="refused",source="none"}': 1,
    })
  })

  test('look-ups are there from the start', async () => {
    const { metrics, read } = start()
    const none = { '{result="hit"}': 0, '{result="miss"}': 0, '{result="bypassed"}': 0 }
    expect(await read('l1_lookups_total')).toEqual(none)
    for (const result of ['hit', 'miss', 'bypassed', 'hit', 'hit', 'miss'] as const)
      metrics.sessionCacheLookUp(result)
    const some = { '{result="hit"}': 3, '{result="miss"}': 2, '{result="bypassed"}': 1 }
    expect(await read('l1_lookups_total')).toEqual(some)
  })

  test('durations add up to a histogram that grows from bucket to bucket', async () => {
    const { metrics, read } = start()
    const durations = [0, 0.00005, 0.00006, 0.004, 0.2, 1.5, 7]
    for (const seconds of durations) metrics.check('allow', 'memory', seconds)
    const buckets = await read('check_duration_seconds_bucket')
    expect(buckets).toMatchObject({
      '{le="0.00005"}': 2,
      '{le="0.0001"}': 3,
      '{le="0.0025"}': 3,
      '{le="0.005"}': 4,
      '{le="0.25"}': 5,
      '{le="1.5"}': 6,
      '{le="+Inf"}': 7,
    })
    const counts = Object.values(buckets)
    expect(counts).toEqual(counts.toSorted((a, b) => a - b))
    expect(await read('check_duration_seconds_count')).toEqual({ '': 7 })
    expect((await read('check_duration_seconds_sum'))[''] ?? 0).toBeCloseTo(8.70411, 5)
  })
})

test('counts of checks and lookups are the same however often they are read', async () => {
  const { metrics, read } = start()
  metrics.check('allow', 'memory', 0.0001)
  metrics.sessionCacheLookUp('hit')
  const readBoth = async () => [await read('checks_total'), await read('l1_lookups_total')]
  expect(await readBoth()).toEqual(await readBoth())
})

describe('the other counts', () => {
  test('each event counts under its name, which ends in _total', async () => {
    const { metrics, read } = start()
    metrics.signIn('success')
    metrics.signIn('refused')
    metrics.signIn('refused')
    metrics.replayRefused('login')
    metrics.signOut()
    metrics.tokenRevocationFailed()
    metrics.sessionsEndedByOperator(5)
    metrics.refresh('late')
    metrics.backchannelLogout('deferred')
    metrics.aliasRefused()
    metrics.foreignHostRefused()
    metrics.duplicateCookie()
    metrics.loopStopped()
    metrics.integrityFailure()
    expect(await read('sign_ins_total')).toEqual({
      '{result="success"}': 1,
      '{result="refused"}': 2,
      '{result="provider_failed"}': 0,
      '{result="store_failed"}': 0,
      '{result="misconfigured"}': 0,
      '{result="internal"}': 0,
    })
    expect(await read('replays_refused_total')).toEqual({
      '{kind="login"}': 1,
      '{kind="id-token"}': 0,
      '{kind="bearer"}': 0,
      '{kind="dpop"}': 0,
      '{kind="logout-token"}': 0,
    })
    expect(await read('sessions_ended_by_operators_total')).toEqual({ '': 5 })
    const refreshes = { '{result="late"}': 1, '{result="refreshed"}': 0, '{result="lost"}': 0 }
    expect(await read('refreshes_total')).toMatchObject(refreshes)
    const logouts = { '{result="deferred"}': 1, '{result="done"}': 0, '{result="refused"}': 0 }
    expect(await read('backchannel_logouts_total')).toMatchObject(logouts)
    for (const name of words`
      sign_outs token_revocations_failed alias_headers_refused foreign_hosts_refused
      duplicate_cookies sign_in_loops store_integrity_failures
    `) {
      expect(await read(`${name}_total`), name).toEqual({ '': 1 })
    }
  })

  test('gauges are asked when somebody reads', async () => {
    const { read, observed } = start()
    const readAll = async () => {
      const names = ['l1_sessions', 'l1_bytes', 'provider_discovered', 'revocations_waiting']
      return (await Promise.all(names.map(read))).map((values) => values[''])
    }
    expect(await readAll()).toEqual([0, 0, 0, 0])
    Object.assign(observed, { sessions: 7, bytes: 9000, isDiscovered: true, waiting: 3 })
    expect(await readAll()).toEqual([7, 9000, 1, 3])
  })

  test('two services in one process count apart', async () => {
    const [one, other] = [start(), start()]
    one.metrics.signOut()
    expect(await one.read('sign_outs_total')).toEqual({ '': 1 })
    expect(await other.read('sign_outs_total')).toEqual({ '': 0 })
  })

  test('every metric has our prefix, a type and a help text', async () => {
    const { metrics } = start()
    const lines = (await metrics.registry.metrics()).split('\n').filter((line) => line !== '')
    const named = lines.filter((line) => !line.startsWith('#'))
    expect(named.every((line) => line.startsWith('vestibule_'))).toBe(true)
    const typed = lines.filter((line) => line.startsWith('# TYPE '))
    expect(lines.filter((line) => line.startsWith('# HELP ')).length).toBe(typed.length)
    expect(typed).toContain('# TYPE vestibule_check_duration_seconds histogram')
    expect(typed).toContain('# TYPE vestibule_checks_total counter')
  })
})
