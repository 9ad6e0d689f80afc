import type { Round } from './load.ts'
import type { StoreRow } from './store-table.ts'

/** Prints one line of a table; the first column is as wide as its longest name. */
function columns(width: number, ...cells: readonly string[]): void {
  const [name = '', ...figures] = cells
  const line = [name.padEnd(width), ...figures.map((figure) => figure.padStart(12))].join('')
  process.stdout.write(`${line}\n`)
}

/** Prints checks over HTTP, each beside the first. */
export function printChecks(medians: ReadonlyMap<string, Round>): void {
  const [first] = medians.values()
  columns(28, '\nchecks over HTTP', 'checks/s', 'p50 ms', 'p99 ms', 'CPU µs', 'to bare')
  for (const [name, round] of medians) {
    columns(
      27,
      name,
      round.requestsPerSecond.toFixed(0),
      round.p50Ms.toFixed(3),
      round.p99Ms.toFixed(3),
      round.cpuMicrosPerRequest.toFixed(1),
      (round.requestsPerSecond / (first?.requestsPerSecond ?? Number.NaN)).toFixed(2),
    )
  }
}

/** Prints reads and writes of sessions within the process, each beside raw node-redis, which comes first. */
export function printStores(rows: readonly StoreRow[]): void {
  const [raw] = rows
  columns(
    28,
    '\nsessions in the process',
    'read p50 ms',
    'p99 ms',
    'write p50',
    'reads/s',
    'reads to raw',
    'writes',
  )
  for (const row of rows) {
    columns(
      27,
      row.name,
      row.readP50Ms.toFixed(4),
      row.readP99Ms.toFixed(4),
      row.writeP50Ms.toFixed(4),
      row.readsPerSecond.toFixed(0),
      (row.readsPerSecond / (raw?.readsPerSecond ?? Number.NaN)).toFixed(2),
      (row.writeP50Ms / (raw?.writeP50Ms ?? Number.NaN)).toFixed(2),
    )
  }
}
