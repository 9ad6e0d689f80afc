/** Problems that are told whole, since they are about a file and not about a value in it. */
const OF_FILE = /^[^:]+: (?:not YAML: |the file: |(?:.* )?cannot be read \()/

const MAX_TOLD = 10

/**
 * Reduces problems of a configuration to their places, each once and the first ten of them, for the log and `/health`, where no value such as an
 * e-mail address may stand.
 */
export function withoutValues(problems: readonly string[]): readonly string[] {
  const told = problems.map((problem) => (OF_FILE.test(problem) ? problem : placeOf(problem)))
  const places = [...new Set(told)]
  const more = places.length - MAX_TOLD
  return more > 0 ? [...places.slice(0, MAX_TOLD), `and ${more} more`] : places
}

/** Returns the name of the setting, or the key of the settings file, in front of what is said about it. */
function placeOf(problem: string): string {
  return /^(?:VESTIBULE_CONFIG: )?[^:]*/.exec(problem)?.[0] ?? ''
}
