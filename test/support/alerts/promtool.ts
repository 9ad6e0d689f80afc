import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { findProgram } from '../../../stand-ins/process.ts'
import { ALERTS, type Moments, readRules } from './recording.ts'

/** Minutes before an incident, in it, and after it, in place of the seconds for which it was recorded. */
export interface Course {
  readonly before: number
  readonly during: number
  readonly after: number
  /** Minutes between two readings and evaluations. */
  readonly each?: number
}

export const COURSE: Course = { before: 15, during: 60, after: 65 }

/** Alerts that fired, with the minutes for which they did. */
export type Fired = Readonly<Record<string, number>>

const program = () => findProgram('promtool') ?? ''

export function promtoolMissing(): boolean {
  return findProgram('promtool') === undefined
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
    `count_over_time(ALERTS{alertstate="firing"}[${minutes * each * 60 - 30}s])`
  const queries = [firing(before), firing(during), 'ALERTS{alertstate="firing"}']
  const tests = queries.map((query, index) => ({
    expr: `max by (alertname) (${query})`,
    eval_time: `${(ends[index] ?? 0) * each}m`,
    // Is never the answer, so that promtool prints the one that there is.
    exp_samples: [{ labels: '{alertname="none"}', value: -1 }],
  }))
  using folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-alerts-'))
  const file = join(folder.path, 'test.json')
  const input = {
    rule_files: [only === undefined ? resolve(ALERTS) : 'rules.json'],
    evaluation_interval: `${each}m`,
    tests: [
      {
        interval: `${each}m`,
        input_series: Object.entries(series).map(([key, values]) => ({
          series: key,
          values: typeof values === 'string' ? values : stretch(key, values, course),
        })),
        promql_expr_test: tests,
      },
    ],
  }
  writeFileSync(file, JSON.stringify(input))
  const rules = readRules().filter(({ alert }) => alert === only)
  writeFileSync(
    join(folder.path, 'rules.json'),
    JSON.stringify({ groups: [{ name: 'one', rules }] }),
  )
  const { stdout, stderr } = spawnSync(program(), ['test', 'rules', file], { encoding: 'utf8' })
  const answers = [...`${stdout}${stderr}`.matchAll(/time: (\w+),\s+exp:.*?\n?\s*got: ?\s*(.*)/g)]
  if (answers.length !== 3) throw new Error(`promtool says: ${stdout}${stderr}`)
  const [atStart = {}, inside = {}, later = {}] = answers.map(([, , got = '']) => readFired(got))
  return { before: atStart, during: inside, after: Object.keys(later) }
}

function readFired(got: string): Fired {
  return Object.fromEntries(
    [...got.matchAll(/alertname="(\w+)"\} (?:=> )?([\d.E+]+)/g)].map(([, name = '', count]) => [
      name,
      Number(count),
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
