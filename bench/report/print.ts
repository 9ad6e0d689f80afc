import { type Table, textRows } from './table.ts'

/** Writes a table for the terminal. */
export function terminalTable(table: Table): string {
  const rows = textRows(table)
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  )
  const lines = rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [`\n${table.title}`, ...lines, ...table.notes.map((note) => `  ${note}`), ''].join('\n')
}

/** Writes a table as Markdown, with its notes below. */
export function markdownTable(table: Table): string {
  const [head = [], ...rows] = textRows(table)
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = line(head.map((_, at) => (at === 0 ? '---' : '---:')))
  const notes = table.notes.map((note) => `* ${note}`)
  return [line(head), rule, ...rows.map(line), '', ...notes].join('\n').trimEnd()
}
