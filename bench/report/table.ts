import type { Spread } from './spread.ts'

/** Bound that a figure should keep. */
export interface Aim {
  readonly column: string
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Row {
  readonly name: string
  /** Figures by the name of their column. */
  readonly cells: Readonly<Record<string, Spread>>
  readonly aims?: readonly Aim[]
}

/** Table of one section, which the terminal, the JSON and the page in `docs/` show alike. */
export interface Table {
  readonly id: string
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
  readonly notes: readonly string[]
}

/** Returns the cells of a table as text, with the name first and the aim last. */
export function textRows({ columns, rows }: Table): readonly (readonly string[])[] {
  const hasAims = rows.some(({ aims }) => aims !== undefined)
  const head = ['', ...columns, ...(hasAims ? ['aim'] : [])]
  const lines = rows.map(({ name, cells, aims = [] }) => [
    name,
    ...columns.map((column) => cellText(cells[column])),
    ...(hasAims ? [aims.map((aim) => aimText(cells, aim)).join('; ')] : []),
  ])
  return [head, ...lines]
}

function cellText(spread: Spread | undefined): string {
  if (spread === undefined) return ''
  const { low, median, high, count } = spread
  const digits = digitsOf(median)
  const middle = numberText(median, digits)
  return count < 2 ? middle : `${middle} (${numberText(low, digits)}–${numberText(high, digits)})`
}

function digitsOf(value: number): number {
  if (value < 0.1) return 4
  return value < 10 ? 2 : value < 100 ? 1 : 0
}

function numberText(value: number, digits: number): string {
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

function aimText(cells: Row['cells'], { column, atLeast, atMost }: Aim): string {
  const median = cells[column]?.median ?? Number.NaN
  const isMet = median >= (atLeast ?? Number.NEGATIVE_INFINITY) && median <= (atMost ?? Infinity)
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`
  return `${column} ${bound}: ${isMet ? 'met' : 'missed'}`
}
