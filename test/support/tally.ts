/** The number of answers with each status. */
export function tally(statuses: readonly number[]): Record<number, number> {
  return Object.fromEntries(
    Map.groupBy(statuses, (status) => status)
      .entries()
      .map(([status, all]) => [status, all.length]),
  )
}
