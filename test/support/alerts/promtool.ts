import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../../stand-ins/process.ts'
import { type Moments, type Rule, readRules } from './recording.ts'

/** Minutes before an incident, in it, and after it, in place of the seconds for which it was recorded. */
export interface Course {
  readonly before: number
  readonly during: number
  readonly after: number
  /** Minutes between two readings. */
  readonly each?: number
}

/** Least minutes between two evaluations, because those of all rules take time. */
const EVALUATED_EVERY = 2

export const COURSE: Course = { before: 15, during: 60, after: 65 }

/** Alerts that fired, with the minutes for which they did, within two. */
export type Fired = Readonly<Record<string, number>>

const program = () => findProgram('promtool') ?? ''

/** Ends the title of tests that are skipped; `''` where they run. */
export function promtoolMissing(): string {
  return findProgram('promtool') === undefined ? ' (skipped: promtool is not on PATH)' : ''
}

export function promtool(...args: string[]): string {
  return execFileSync(program(), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Recording in which a series may also be drawn in the notation of promtool. */
interface Drawn {
  readonly series: Readonly<Record<string, Moments | string>>
}

/**
 * Returns which alerts fire where a recording takes so long, before, in it, and at the end: gauges stay as they were later in the incident, and
 * counters grow each minute as they grew within it. Long courses name the one rule that they are about, because each costs time.
 */
export function firedIn({ series }: Drawn, course: Course = COURSE, only?: string) {
  const { before, during, after, each = 1 } = course
  const ends = [before - 1, before + during - 1, before + during + after - 1]
  // Half a minute less than the phase, because versions of Prometheus differ in whether a range has its left end.
  const firing = (minutes: number) =>
    `max by (alertname) (count_over_time(ALERTS{alertstate="firing"}[${minutes * each * 60 - 30}s]))`
  const queries = [
    firing(before),
    firing(during),
    'max by (alertname) (ALERTS{alertstate="firing"})',
  ].map((expr, index) => ({ expr, minute: (ends[index] ?? 0) * each }))
  const rules = readRules().filter(({ alert }) => only === undefined || alert === only)
  const [atStart = {}, inside = {}, later = {}] = evaluate(series, course, queries, rules).map(
    readFired,
  )
  return { before: atStart, during: inside, after: Object.keys(later) }
}

/** Returns the value of each query 45 minutes after an incident has begun; `undefined` where it has none. */
export function valuesIn({ series }: Drawn, queries: readonly string[]): (number | undefined)[] {
  const minute = COURSE.before + 45
  const asked = queries.map((expr) => ({ expr, minute }))
  return evaluate(series, COURSE, asked, []).map((got) => {
    const value = /^\{\} ([-+\d.E]+)$/.exec(got.trim())?.[1]
    return value === undefined ? undefined : Number(value)
  })
}

interface Query {
  readonly expr: string
  readonly minute: number
}

/** Has promtool evaluate queries, and returns its words for each answer. */
function evaluate(
  series: Drawn['series'],
  course: Course,
  queries: readonly Query[],
  rules: readonly Rule[],
): string[] {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-alerts-'))
  const interval = `${course.each ?? 1}m`
  const input = {
    rule_files: ['rules.json'],
    evaluation_interval: `${Math.max(course.each ?? 1, EVALUATED_EVERY)}m`,
    tests: [
      {
        interval,
        input_series: Object.entries(series).map(([key, values]) => ({
          series: key,
          values: typeof values === 'string' ? values : stretch(key, values, course),
        })),
        promql_expr_test: queries.map(({ expr, minute }) => ({
          expr,
          eval_time: `${minute}m`,
          // Is never the answer, so that promtool prints the one that there is.
          exp_samples: [{ labels: '{alertname="none"}', value: -1 }],
        })),
      },
    ],
  }
  const groups = [{ name: 'all', rules }]
  writeFileSync(join(folder.path, 'rules.json'), JSON.stringify({ groups }))
  const file = join(folder.path, 'test.json')
  writeFileSync(file, JSON.stringify(input))
  const { stdout, stderr } = spawnSync(program(), ['test', 'rules', file], { encoding: 'utf8' })
  const answers = [...`${stdout}${stderr}`.matchAll(/time: (\w+),\s+exp:.*?\n?\s*got: ?\s*(.*)/g)]
  if (answers.length !== queries.length) throw new Error(`promtool says: ${stdout}${stderr}`)
  return answers.map(([, , got = '']) => got)
}

function readFired(got: string): Fired {
  return Object.fromEntries(
    [...got.matchAll(/alertname="(\w+)"\} (?:=> )?([\d.E+]+)/g)].map(([, name = '', count]) => [
      name,
      Number(count) * EVALUATED_EVERY,
    ]),
  )
}

const isCounter = (key: string) => /^\w+_(?:total|bucket|count|sum)\{/.test(key)

function stretch(key: string, [first, begun, later, last]: Moments, course: Course): string {
  const { before, during, after } = course
  // A restarted process counts from 0 again.
  const isGrowing = isCounter(key) && begun != null && later != null && later >= begun
  const step = isGrowing ? later - begun : 0
  return [
    run(first, 0, before),
    ...(isGrowing ? [run(begun, step, during)] : [run(begun, 0, 5), run(later, 0, during - 5)]),
    run(
      key.startsWith('vestibule_') && isGrowing ? grown(last, later, step * (during - 2)) : last,
      0,
      after,
    ),
  ].join(' ')
}

/** Adds to the last value what the counter has grown beyond the recording, unless it began anew. */
function grown(last: number | null | undefined, later: number, more: number) {
  return last == null || last < later ? last : last + more
}

function run(value: number | null | undefined, step: number, count: number): string {
  // Prometheus marks the end of a series, so that it is gone at once.
  if (value == null) return `stale _x${count - 1}`
  if (value === Infinity) return Array(count).fill('Inf').join(' ')
  return `${value}+${step}x${count - 1}`
}
