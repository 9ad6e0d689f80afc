import { markdownTable } from './print.ts'
import type { Table } from './table.ts'

/** Run as `--json` prints it. */
export interface Run {
  readonly machine: Readonly<Record<string, string>>
  readonly laps: number
  readonly rounds: number
  readonly seconds: number
  readonly tables: readonly Table[]
}

/**
 * Returns the page with new tables between its marks `<!-- bench:ID -->` and `<!-- /bench -->`. Tables that the run
 * lacks stay as they are.
 */
export function withTables(page: string, { machine, tables }: Run): string {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`)
  const texts = new Map(tables.map((table) => [table.id, markdownTable(table)]))
  texts.set('machine', `Measured with: ${facts.join(', ')}.`)
  return page.replace(
    /(<!-- bench:(\S+) -->\n)[\s\S]*?(<!-- \/bench -->)/g,
    (whole, begin: string, id: string, end: string) => {
      const text = texts.get(id)
      return text === undefined ? whole : `${begin}${text}\n${end}`
    },
  )
}
