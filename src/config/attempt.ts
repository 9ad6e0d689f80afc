/** What a parser throws is a problem of the setting that it parsed. */
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
