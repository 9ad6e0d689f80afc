import { Counter, Gauge, type Registry } from 'prom-client'

/** Results of reading changed rules again, as labels; each starts at 0. */
const RELOAD_RESULTS = ['reloaded', 'not_reloaded'] as const

/** Counters of the rules; each call counts one event. */
export interface RulesMetrics {
  rulesReload(result: (typeof RELOAD_RESULTS)[number]): void
  /** Counts a request of a known user or program that a report rule would refuse. */
  wouldDeny(rule: string): void
  /** Sets the report rules in force: each starts at 0, and the others are counted no more. */
  setReportRules(names: readonly string[]): void
}

export function createRulesMetrics(registry: Registry): RulesMetrics {
  let inForce: ReadonlySet<string> = new Set()
  const reloads = new Counter({
    name: 'vestibule_rules_reloads_total',
    help: 'Changes of the rules while the service ran',
    labelNames: ['result'],
    registers: [registry],
  })
  for (const result of RELOAD_RESULTS) reloads.inc({ result }, 0)
  const outdated = new Gauge({
    name: 'vestibule_rules_outdated',
    help: '1 while changed rules cannot be used and older ones are in force',
    registers: [registry],
  })
  const wouldDeny = new Counter({
    name: 'vestibule_rules_would_deny_total',
    help: 'Requests of known users and programs that a rule with report: true would refuse',
    labelNames: ['rule'],
    registers: [registry],
  })
  return {
    rulesReload(result) {
      reloads.inc({ result })
      outdated.set(Number(result === 'not_reloaded'))
    },
    wouldDeny(rule) {
      if (inForce.has(rule)) wouldDeny.inc({ rule })
    },
    setReportRules(names) {
      const next = new Set(names)
      for (const rule of inForce.difference(next)) wouldDeny.remove({ rule })
      for (const rule of next) wouldDeny.inc({ rule }, 0)
      inForce = next
    },
  }
}
