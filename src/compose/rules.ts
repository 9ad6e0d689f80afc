import type { Config } from '../config/config.ts'
import { createRules, type LiveRules, type Rules } from '../core/access/rule-set.ts'
import type { HealthReason } from '../routes/health-reasons.ts'
import type { Log } from '../telemetry/log.ts'

/** Rules in force, which are replaced when their files change. */
export interface KeptRules extends LiveRules {
  /** Calls a listener with each later set. */
  onReplaced(listener: (next: Rules) => void): void
  /** Returns what an operator has to mend; read by `/health`. */
  findings(): readonly HealthReason[]
  close(): void
}

export interface KeepRulesOptions {
  readonly config: Config
  readonly log: Log
}

/** Keeps the rules of the configuration. */
export function keepRules({ config }: KeepRulesOptions): KeptRules {
  const current = createRules(config.rules)
  return {
    current,
    onReplaced: () => undefined,
    findings: () => [],
    close: () => undefined,
  }
}
