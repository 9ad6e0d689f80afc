/** Configuration of the service that is left, as the operator has it. */
export interface OldConfiguration {
  /** Variables of the file `--env`; the environment of this command is that of Vestibule and does not count. */
  readonly environment: ReadonlyMap<string, string>
  readonly file: ConfigurationFile | undefined
  /** oauth2-proxy alone has one. */
  readonly alphaFile: ConfigurationFile | undefined
  /** Arguments behind `--`, as on the command line of the other service. */
  readonly flags: readonly string[]
  /** Reads a further file that an option names, from the folder of this command. Throws `MigrationError` where it cannot. */
  readonly readFile: (path: string) => string
}

export interface ConfigurationFile {
  readonly path: string
  readonly text: string
}

/** Reports a configuration that cannot be carried over at all. `problems` name options and quote no value that may be secret. */
export class MigrationError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.name = 'MigrationError'
    this.problems = problems
  }
}
