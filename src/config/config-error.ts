/** Reports a value of a setting that cannot be used. The message holds no secret, so that it may be logged. */
export class ValueError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ValueError'
  }
}

/**
 * Reports a configuration that cannot be used. `problems` lists everything that is wrong with it, each with a
 * remedy; `hints` may tell why.
 */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[], hints: readonly string[] = []) {
    const lines = [...problems, ...hints.map((hint) => `note: ${hint}`)]
    super(`the configuration cannot be used:\n${lines.map((each) => `  - ${each}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}
