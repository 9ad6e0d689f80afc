import { createRules, type Rules } from '../../core/access/rule-set.ts'
import type { Config } from '../config.ts'
import { ConfigError } from '../config-error.ts'
import { createFileWatch, isFile } from './file-watch.ts'

/** Outcome of reading the configuration again. */
export type Reload =
  | { readonly kind: 'read'; readonly rules: Rules; readonly config: Config }
  /** `cause` is a `ConfigError`, or an error that nobody expected. */
  | { readonly kind: 'refused'; readonly cause: unknown }

/** Pause after a refusal, whose cause may lie in a file that is not watched. */
const RETRY_MS = 2000

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
  return () => {
    const contents = watch.look(paths)
    const isDue = contents !== used || performance.now() >= retryAtMs
    if (contents === undefined || !isDue) return undefined
    const reload = readRules(paths, readAgain)
    if (reload.kind === 'read') paths = reload.config.ruleFiles
    // Refuses what changed while it was read, and waits for files that are named now for the first time.
    if (watch.look(paths) !== contents) return undefined
    used = contents
    retryAtMs = reload.kind === 'read' ? Number.POSITIVE_INFINITY : performance.now() + RETRY_MS
    return reload
  }
}

function readRules(paths: readonly string[], readAgain: () => Config): Reload {
  try {
    const unusable = paths.filter((path) => !isFile(path))
    if (unusable.length > 0) {
      throw new ConfigError(unusable.map((path) => `${path}: cannot be read (not a file)`))
    }
    const config = readAgain()
    return { kind: 'read', rules: createRules(config.rules), config }
  } catch (cause) {
    return { kind: 'refused', cause }
  }
}
