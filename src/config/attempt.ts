/**
 * Runs a parser. Adds the error that it throws to `problems` under the name of the setting, and returns `undefined`
 * then.
 */
export function attempt<T>(
  name: string,
  remedy: string,
  problems: string[],
  parse: () => T,
): T | undefined {
  try {
    return parse()
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}; ${remedy}`)
    return undefined
  }
}
