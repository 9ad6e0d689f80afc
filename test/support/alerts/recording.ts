import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { RunningVestibule } from '../vestibule.ts'
import { selectorsOf } from './promql.ts'

/** Value of a series at each moment: before the incident, when it has begun, later in it, and after it; null where absent. */
export type Moments = readonly (number | null)[]

/** Metrics of replicas as they were read around an incident, by series with the labels that Prometheus adds. */
export interface Recording {
  readonly name: string
  readonly series: Readonly<Record<string, Moments>>
}

export interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

type Replica = Pick<RunningVestibule, 'internal'> | undefined
export type Scrape = ReadonlyMap<string, number>

export const ALERTS = 'deploy/monitoring/alerts.yaml'
/** Recordings of test/full/faults/alerts.test.ts, one a line; all but the first have only what differs from it. */
export const RECORDED = 'test/support/alerts/recorded.jsonl'

export function readRules(path = ALERTS): readonly Rule[] {
  const { groups } = parse(readFileSync(path, 'utf8')) as { groups: { rules: Rule[] }[] }
  return groups.flatMap(({ rules }) => rules)
}

/** Labels of all replicas, which the file of recordings leaves out. */
const INSTALLATION = 'job="vestibule",namespace="auth"'
const named = new Set(readRules().flatMap(({ expr }) => selectorsOf(expr).map(({ name }) => name)))
/** Metrics with the time of an event, which moves with the clock of a test that begins at 0. */
const TIMES =
  /^vestibule_(?:process_start_time|internal_tls_certificate_not_(?:before|after))_seconds/

/** Reads the metrics of replicas that rules name, and `up` as Prometheus writes it; times count from the origin. */
export async function scrape(replicas: readonly Replica[], originSeconds: number): Promise<Scrape> {
  const all = await Promise.all(
    replicas.map(async (replica, index) => {
      if (!replica) return []
      const target = `instance="${index + 1}",${INSTALLATION}`
      const body = await replica.internal('/metrics').then(
        (visit) => visit.body,
        () => undefined,
      )
      const samples = (body ?? '')
        .split('\n')
        .flatMap((line) => readSample(line, target, originSeconds))
      return [[`up{${target}}`, body === undefined ? 0 : 1] as const, ...samples]
    }),
  )
  return new Map(all.flat())
}

function readSample(line: string, target: string, originSeconds: number): [string, number][] {
  const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (!named.has(name) || /^nan$/i.test(value)) return []
  const number = value === '+Inf' ? Infinity : Number(value)
  const kept = TIMES.test(name) ? number - originSeconds : number
  return [[`${name}{${labels === '' ? '' : `${labels},`}${target}}`, round(kept)]]
}

const round = (value: number) => Number(value.toPrecision(6))

export function recordingOf(name: string, scrapes: readonly Scrape[]): Recording {
  const keys = new Set(scrapes.flatMap((each) => [...each.keys()]))
  const series = Object.fromEntries(
    [...keys].map((key) => [key, scrapes.map((each) => each.get(key) ?? null)]),
  )
  return { name, series }
}

type Stored = number | string | null | readonly (number | string | null)[]
type StoredSeries = Readonly<Record<string, Stored>>

/** Writes recordings: a value that does not change once, and only what differs from the first recording. */
export function packRecordings(recordings: readonly Recording[]): string {
  const packed = recordings.map(({ name, series }) => ({ name, series: packSeries(series) }))
  const base = packed[0]?.series ?? {}
  const differences = packed.slice(1).map(({ name, series }) => {
    const gone = Object.keys(base).filter((key) => isShared(key) && !(key in series))
    const other = Object.entries(series).filter(
      ([key, stored]) => !isShared(key) || JSON.stringify(stored) !== JSON.stringify(base[key]),
    )
    const absent = gone.map((key): [string, Stored] => [key, null])
    return { name, series: Object.fromEntries([...other, ...absent]) }
  })
  return [...packed.slice(0, 1), ...differences].map((each) => `${JSON.stringify(each)}\n`).join('')
}

/** Buckets are in each recording, but for those of a histogram in which nothing was counted. */
const isShared = (key: string) => !/_bucket\{/.test(key)

function packSeries(series: Recording['series']): StoredSeries {
  const isIdle = (key: string) =>
    !isShared(key) && typeof pack(series[key.replace(/le="[^"]*"/, 'le="+Inf"')] ?? []) === 'number'
  const kept = Object.entries(series).filter(([key]) => !isIdle(key))
  return Object.fromEntries(
    kept.map(([key, moments]) => [key.replace(`,${INSTALLATION}`, ''), pack(moments)]),
  )
}

function pack(moments: Moments): Stored {
  const all = moments.map((value) => (value === Infinity ? '+Inf' : value))
  return all.every((each) => each === all[0]) ? (all[0] ?? null) : all
}

export function readRecordings(path = RECORDED): readonly Recording[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  const all = lines.map((line) => JSON.parse(line) as { name: string; series: StoredSeries })
  const base = Object.entries(all[0]?.series ?? {}).filter(([key]) => isShared(key))
  return all.map(({ name, series }) => {
    const stored = Object.entries({ ...Object.fromEntries(base), ...series })
    const unpacked = stored.flatMap(([key, each]) =>
      each === null ? [] : [[key.replace(/\}$/, `,${INSTALLATION}}`), unpack(each)] as const],
    )
    return { name, series: Object.fromEntries(unpacked) }
  })
}

function unpack(stored: Stored): Moments {
  const all: readonly unknown[] = Array.isArray(stored) ? stored : Array(4).fill(stored)
  return all.map((each) => (each === '+Inf' ? Infinity : (each as number | null)))
}
