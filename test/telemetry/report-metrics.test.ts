import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createReportMetrics } from '../../src/telemetry/report-metrics.ts'

test('only report rules in force are counted, each from 0, also after their rules have changed', async () => {
  const registry = new Registry()
  const metrics = createReportMetrics(registry)
  const counts = async () => {
    const [metric] = await registry.getMetricsAsJSON()
    return (metric?.values ?? []).map(({ labels, value }) => [labels['rule'], value])
  }
  metrics.setReportRules(['old', 'kept'])
  expect(await counts()).toEqual([
    ['old', 0],
    ['kept', 0],
  ])
  metrics.wouldDeny('old')
  metrics.wouldDeny('kept')
  metrics.setReportRules(['kept', 'new'])
  expect(await counts()).toEqual([
    ['kept', 1],
    ['new', 0],
  ])
  // By a request that began before the rules changed.
  metrics.wouldDeny('old')
  expect(await counts()).toEqual([
    ['kept', 1],
    ['new', 0],
  ])
  metrics.setReportRules([])
  expect(await counts()).toEqual([])
})
