import { terminalTable } from './print.ts'
import type { Row, Table } from './table.ts'

/** Writes the figures of this run over those of an earlier one; 1 means no change. */
export function comparison(tables: readonly Table[], earlier: readonly Table[]): string {
  return tables
    .flatMap((table) => {
      const before = earlier.find(({ id }) => id === table.id)
      return before ? [terminalTable(compared(table, before))] : []
    })
    .join('')
}

function compared(table: Table, before: Table): Table {
  const rows = table.rows.flatMap((row): Row[] => {
    const old = before.rows.find(({ name }) => name === row.name)
    if (!old) return []
    const cells = Object.entries(row.cells).flatMap(([column, { median }]) => {
      const was = old.cells[column]?.median
      const ratio = median / (was ?? Number.NaN)
      return was === undefined
        ? []
        : [[column, { low: ratio, median: ratio, high: ratio, count: 1 }] as const]
    })
    return [{ name: row.name, cells: Object.fromEntries(cells) }]
  })
  return { ...table, title: `${table.title}: this run over the earlier one`, rows, notes: [] }
}
