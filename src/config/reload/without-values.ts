/** Problems that are told whole, since they are about a file and not about a value in it. */
const OF_FILE = /^[^:]+: (?:not YAML: |the file: |(?:.* )?cannot be read \()/

const MAX_TOLD = 20

/**
 * Reduces problems of a configuration to the first twenty of their places, for the log and `/health`, where no value such
 * as an e-mail address may stand.
 */
export function withoutValues(problems: readonly string[]): readonly string[] {
  const places = problems.map((problem) => (OF_FILE.test(problem) ? problem : placeOf(problem)))
  const told = [...new Set(places)]
  const others = told.length - MAX_TOLD
  return others > 0 ? [...told.slice(0, MAX_TOLD), `and ${others} more`] : told
}

/** Returns the name of the setting, or the key of the settings file, in front of what is said about it. */
function placeOf(problem: string): string {
  return /^(?:VESTIBULE_CONFIG: )?[^:]*/.exec(problem)?.[0] ?? ''
}
