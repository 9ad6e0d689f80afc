import { createRules, type Rules } from '../../core/access/rule-set.ts'
import type { Config } from '../config.ts'
import { createFileWatch } from './file-watch.ts'

/** Outcome of reading the configuration again. */
export type Reload =
  | { readonly kind: 'read'; readonly rules: Rules; readonly changedKeys: readonly string[] }
  /** `cause` is a `ConfigError`, or an error that nobody expected. */
  | { readonly kind: 'refused'; readonly cause: unknown }

/**
 * Creates a function that reads the configuration again once its files have changed and settled, and returns `undefined`
 * otherwise. The first call that finds them settled reads them, because they may have changed during the start.
 */
export function createReloader({
  ruleFiles,
  readAgain,
}: Pick<Config, 'ruleFiles' | 'readAgain'>): () => Reload | undefined {
  const watch = createFileWatch()
  let paths = ruleFiles
  let used: string | undefined
  let retryAtMs = Number.POSITIVE_INFINITY
  watch.look(paths)

  function read(): Reload {
    try {
      const { rules, changedKeys, ...next } = readAgain()
      paths = next.ruleFiles
      return { kind: 'read', rules: createRules(rules), changedKeys }
    } catch (cause) {
      return { kind: 'refused', cause }
    }
  }

  return () => {
    const startMs = performance.now()
    const contents = watch.look(paths)
    if (contents === undefined || (contents === used && startMs < retryAtMs)) return undefined
    const reload = read()
    // Refuses what changed while it was read, and waits for files that are named now for the first time.
    if (watch.look(paths) !== contents) return undefined
    used = contents
    retryAtMs = reload.kind === 'read' ? Number.POSITIVE_INFINITY : retryAfter(startMs)
    return reload
  }
}

/** Returns when to try again after a refusal, whose cause may lie in a file that is not watched. */
function retryAfter(startMs: number): number {
  const nowMs = performance.now()
  return nowMs + Math.max(RETRY_MS, (nowMs - startMs) * PAUSE_PER_TIME)
}

const RETRY_MS = 2000
/** Bounds the share of time that retries of a large file take from the checks to 1%. */
const PAUSE_PER_TIME = 100
