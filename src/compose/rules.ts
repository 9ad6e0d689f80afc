import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { createReloader, type Reload } from '../config/reload/reloader.ts'
import { withoutValues } from '../config/reload/without-values.ts'
import { isFile } from '../config/sources/read-text.ts'
import { createRules, type LiveRules, type Rules } from '../core/access/rule-set.ts'
import type { HealthReason } from '../routes/health-reasons.ts'
import { describeCause, whereThrown } from '../telemetry/describe-cause.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { poll } from '../timing/poll.ts'

/** Rules in force, which are replaced when their files change. */
export interface KeptRules extends LiveRules {
  /** Calls a listener with each later set that differs from the one before. */
  onReplaced(listener: (next: Rules) => void): void
  /** Returns what an operator has to mend; read by `/health`. */
  findings(): readonly HealthReason[]
  close(): void
}

export interface KeepRulesOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Pick<Metrics, 'rulesReload'>
}

/** Pause between looks at the files, each of which costs two system calls a file. */
const INTERVAL_MS = 250

/** Keeps the rules and polls their files; files that cannot be used leave the rules in force unchanged. */
export function keepRules({ config, log, metrics }: KeepRulesOptions): KeptRules {
  let current = createRules(config.rules)
  let refusal: string | undefined
  let changedKeys: readonly string[] = []
  const listeners: ((next: Rules) => void)[] = []

  function use({ rules, changedKeys: keys }: Reload & { readonly kind: 'read' }): void {
    const isChanged = rules.set.fingerprint !== current.set.fingerprint
    const isNews = isChanged || refusal !== undefined
    current = rules
    refusal = undefined
    if (isChanged) for (const listener of listeners) listener(rules)
    if (isNews) {
      metrics.rulesReload('reloaded')
      const counts = { rules: rules.set.rules.length, policies: rules.set.policies.size }
      log.info({ event: 'rules_reloaded', ...counts }, 'the rules were read again and are in force')
    }
    tellChangedKeys(keys)
  }

  function tellChangedKeys(keys: readonly string[]): void {
    const isNews = keys.length > 0 && keys.join() !== changedKeys.join()
    changedKeys = keys
    if (isNews) {
      log.warn(
        { event: 'restart_needed', keys },
        'the settings file has changed in keys that are read at the start only: restart to use them',
      )
    }
  }

  function refuse(cause: unknown): void {
    const reasons = reasonsOf(cause)
    const before = refusal
    refusal = reasons.join('; ')
    if (refusal === before) return
    metrics.rulesReload('not_reloaded')
    log.error(
      { event: 'rules_not_reloaded', reasons, ...placeThrown(cause) },
      'the changed rules cannot be used and those in force stay: check-config says why',
    )
  }

  function look(): void {
    const reload = reloadChanged()
    if (reload?.kind === 'read') use(reload)
    else if (reload) refuse(reload.cause)
  }

  // A pipe such as that of a shell's `<(…)` is gone after the start.
  const isWatched = config.ruleFiles.length > 0 && config.ruleFiles.every(isFile)
  const reloadChanged = isWatched ? createReloader(config) : () => undefined
  return {
    get current() {
      return current
    },
    onReplaced: (listener) => void listeners.push(listener),
    findings: () => [...refusalFinding(refusal), ...restartFinding(changedKeys)],
    close: isWatched ? poll(INTERVAL_MS, look) : () => undefined,
  }
}

function reasonsOf(cause: unknown): readonly string[] {
  return cause instanceof ConfigError
    ? withoutValues(cause.problems)
    : [`unexpected error: ${describeCause(cause)}`]
}

function placeThrown(cause: unknown) {
  return cause instanceof ConfigError ? {} : whereThrown(cause)
}

function refusalFinding(refusal: string | undefined): readonly HealthReason[] {
  if (refusal === undefined) return []
  const message = `the changed rules cannot be used and those in force stay (${refusal}): check-config says why`
  return [{ code: 'rules_not_reloaded', message }]
}

function restartFinding(keys: readonly string[]): readonly HealthReason[] {
  if (keys.length === 0) return []
  const message = `changed in the settings file and read at the start only: ${keys.join(', ')}; restart this replica, or change them back`
  return [{ code: 'restart_needed', message }]
}
