import { Counter, type Registry } from 'prom-client'

/** Results of reading changed rules again, as labels; each starts at 0. */
const RELOAD_RESULTS = ['reloaded', 'not_reloaded'] as const

/** Counters of the rules; each call counts one event. */
export interface RulesMetrics {
  rulesReload(result: (typeof RELOAD_RESULTS)[number]): void
}

export function createRulesMetrics(registry: Registry): RulesMetrics {
  const reloads = new Counter({
    name: 'vestibule_rules_reloads_total',
    help: 'Changes of the rules while the service ran',
    labelNames: ['result'],
    registers: [registry],
  })
  for (const result of RELOAD_RESULTS) reloads.inc({ result }, 0)
  return { rulesReload: (result) => reloads.inc({ result }) }
}
