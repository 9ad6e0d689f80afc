import { Counter, type Registry } from 'prom-client'

/** Counter of the rules that only report. */
export interface ReportMetrics {
  /** Counts a request of a known user or program that a report rule would refuse. */
  wouldDeny(rule: string): void
  /** Sets the report rules in force: each starts at 0, and the others are counted no more. */
  setReportRules(names: readonly string[]): void
}

export function createReportMetrics(registry: Registry): ReportMetrics {
  let inForce: ReadonlySet<string> = new Set()
  const counter = new Counter({
    name: 'vestibule_rules_would_deny_total',
    help: 'Requests of known users and programs that a rule with report: true would refuse',
    labelNames: ['rule'],
    registers: [registry],
  })
  return {
    wouldDeny(rule) {
      if (inForce.has(rule)) counter.inc({ rule })
    },
    setReportRules(names) {
      const next = new Set(names)
      for (const rule of inForce.difference(next)) counter.remove({ rule })
      for (const rule of next) counter.inc({ rule }, 0)
      inForce = next
    },
  }
}
