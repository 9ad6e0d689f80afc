import type { Spread } from './spread.ts'
import type { Row, Table } from './table.ts'

const COLUMN = 'a second, one core'
const MICROS_PER_SECOND = 1_000_000

/** Rows of other tables from which the size of an installation follows: processor time of one request. */
const SOURCES = [
  ['checks', 'session, memory mode', 'CPU µs', 'checks, memory mode'],
  ['checks', 'session, hybrid mode', 'CPU µs', 'checks, hybrid mode'],
  ['checks', 'session, redis mode', 'CPU µs', 'checks, redis mode'],
  ['checks', 'JWT bearer, hot', 'CPU µs', 'checks of a JWT'],
  [
    'traefik-64',
    'hybrid, plain',
    'CPU µs, both',
    'requests through Traefik, plain, Traefik included',
  ],
  [
    'traefik-64',
    'hybrid, TLS and HTTP/2',
    'CPU µs, both',
    'requests through Traefik, TLS and HTTP/2, Traefik included',
  ],
  ['sign-ins', 'CPU µs of a sign-in', 'figure', 'sign-ins'],
] as const

/**
 * Returns how many requests of each kind keep one core busy; `undefined` unless all were measured, because the table
 * replaces that of the page.
 */
export function sizingTable(tables: readonly Table[]): Table | undefined {
  const rows = SOURCES.flatMap(([id, row, column, name]): Row[] => {
    const table = tables.find((each) => each.id === id)
    const micros = table?.rows.find((each) => each.name === row)?.cells[column]
    return micros ? [{ name, cells: { [COLUMN]: perSecond(micros) } }] : []
  })
  if (rows.length < SOURCES.length) return undefined
  return { id: 'sizing', title: 'Sizing', columns: [COLUMN], rows, notes: [] }
}

function perSecond({ low, median, high, count }: Spread): Spread {
  const of = (micros: number) => MICROS_PER_SECOND / micros
  return { low: of(high), median: of(median), high: of(low), count }
}
