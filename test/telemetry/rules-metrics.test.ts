import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createRulesMetrics } from '../../src/telemetry/rules-metrics.ts'

test('rules are outdated from a change that cannot be used to the next that can', async () => {
  const registry = new Registry()
  const metrics = createRulesMetrics(registry)
  const read = async () =>
    (await registry.getSingleMetric('vestibule_rules_outdated')?.get())?.values[0]?.value
  expect(await read()).toBe(0)
  metrics.rulesReload('not_reloaded')
  metrics.rulesReload('not_reloaded')
  expect(await read()).toBe(1)
  metrics.rulesReload('reloaded')
  expect(await read()).toBe(0)
})

test('only report rules in force are counted, each from 0, also after their rules have changed', async () => {
  const registry = new Registry()
  const metrics = createRulesMetrics(registry)
  const counts = async () => {
    const metric = await registry.getSingleMetric('vestibule_rules_would_deny_total')?.get()
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
