/**
 * Reports a configuration that cannot be used. `problems` lists everything that is wrong with it, each with a
 * remedy.
 */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`the configuration cannot be used:\n${problems.map((each) => `  - ${each}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}
