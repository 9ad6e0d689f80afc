/** Reports a value of a setting that cannot be used. The message holds no secret, so that it may be logged. */
export class ValueError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ValueError'
  }
}

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
