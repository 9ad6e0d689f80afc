import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { INCIDENTS, type IncidentName } from '../support/alerts/incidents.ts'
import { groupingLabelsOf, selectorsOf } from '../support/alerts/promql.ts'
import { COURSE, firedIn, promtool, promtoolMissing } from '../support/alerts/promtool.ts'
import { ALERTS, type Recording, readRecordings, readRules } from '../support/alerts/recording.ts'
import { rendered } from './manifests.ts'

const NO_PROMTOOL = 'promtool is not on PATH: rules are looked at, not evaluated'
const rules = readRules()

interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

interface Dashboard {
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] }
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly definition?: string }[]
  }
}

const dashboard = JSON.parse(readFileSync('deploy/monitoring/dashboard.json', 'utf8')) as Dashboard
const targets = dashboard.panels.flatMap((panel) =>
  (panel.targets ?? []).map((target) => ({ ...target, title: panel.title })),
)
const queries = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...targets.map(({ title, expr }) => [title, expr] as const),
]

/** Labels that Prometheus adds to what it scrapes. */
const ADDED = ['job', 'namespace', 'instance']

/** Every series of the product at its start with all features, and one of each kind of check, change and error. */
async function ownSeries() {
  const metrics = createMetrics({ hasRedis: true })
  const breakers = { read: { state: 'closed' }, write: { state: 'closed' } }
  metrics.observe({
    cachedSessions: () => 0,
    cachedBytes: () => 0,
    isProviderDiscovered: () => true,
    eventStreams: () => 0,
    revocationsWaiting: () => 0,
    certificate: () => ({ notBeforeMs: 0, notAfterMs: 0 }),
    redis: {
      isConnected: true,
      commandsInFlight: 0,
      examination: undefined,
      breakers,
      isBackplaneHealthy: true,
      fleet: { size: 0, findings: [] },
    },
  })
  for (const outcome of ['allow', 'unauthenticated', 'forbidden', 'refused'] as const)
    metrics.check(outcome, 'memory', 0)
  metrics.redisFailure('deadline')
  metrics.breakerChanged('read', 'open')
  const values = new Map<string, Map<string, Set<string>>>()
  for (const line of (await metrics.registry.metrics()).split('\n')) {
    const [, name, labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? []
    if (name === undefined) continue
    const ofName = values.getOrInsertComputed(name, () => new Map<string, Set<string>>())
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g))
      ofName.getOrInsertComputed(label, () => new Set<string>()).add(value)
  }
  return values
}

const series = await ownSeries()
/** Series of Prometheus itself. */
const FOREIGN = ['up', 'ALERTS']

describe('each query', () => {
  test.for(queries)('%s names metrics, labels and values that there are', ([, query]) => {
    const selectors = selectorsOf(query)
    expect(selectors.length).toBeGreaterThan(0)
    const known = new Set(ADDED)
    for (const { name, matchers } of selectors) {
      const labels = series.get(name)
      if (!FOREIGN.includes(name)) expect(labels, name).toBeDefined()
      for (const label of labels?.keys() ?? []) known.add(label)
      for (const { label, op, value } of matchers) {
        if (ADDED.includes(label)) continue
        const values = [...(labels?.get(label) ?? [])]
        expect(values, `${name} ${label}`).not.toEqual([])
        const wanted = op === '=~' ? value.split('|') : [value]
        for (const each of wanted) expect(values, `${name} ${label}`).toContain(each)
      }
    }
    expect(groupingLabelsOf(query).filter((label) => !known.has(label))).toEqual([])
  })

  test.for(rules.map(({ alert, annotations }) => [alert, annotations] as const))(
    '%s shows only labels that its result has',
    ([alert, annotations]) => {
      const { expr = '' } = rules.find((each) => each.alert === alert) ?? {}
      const shown = Object.values(annotations).flatMap((text) =>
        [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label),
      )
      const isGrouped = groupingLabelsOf(expr).length > 0 && !shown.includes('instance')
      const kept = isGrouped ? groupingLabelsOf(expr) : ADDED
      expect(shown.filter((label = '') => !kept.includes(label))).toEqual([])
    },
  )
})

describe('the alert rules', () => {
  test('have a severity, a text, a time and a section of the runbook each', () => {
    const page = readFileSync('docs/operations.md', 'utf8')
    for (const { alert, labels, annotations, for: time } of rules) {
      expect(['page', 'warn'], alert).toContain(labels['severity'])
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook_url'])
      expect(annotations['runbook_url']).toBe(`docs/operations.md#${alert.toLowerCase()}`)
      const [, section = ''] = page.split(`\n### ${alert}\n`)
      expect(section, alert).toMatch(/^\n- \*\*Look at:\*\* [^#]+\n- \*\*Do:\*\* /)
      expect(time, alert).toMatch(/^\d+[mh]$/)
    }
    const sections = [...page.matchAll(/^### (Vestibule\w+)$/gm)].map(([, name]) => name)
    expect(sections.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted())
  })

  test('promtool accepts them, and the configuration beside them', ({ skip }) => {
    if (promtoolMissing()) return skip(NO_PROMTOOL)
    expect(promtool('check', 'rules', ALERTS)).toContain(`SUCCESS: ${rules.length} rules found`)
    expect(promtool('check', 'config', 'deploy/monitoring/prometheus.yaml')).toContain('is valid')
  })

  test('each of them fires in a test', () => {
    const fired = [
      ...Object.values(INCIDENTS),
      ...altered.map(([, , incident]) => incident),
    ].flatMap(({ during, after = [] }) => [...Object.keys(during), ...after])
    expect([...new Set(fired)].toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted())
  })
})

const recordings = readRecordings()
const recorded = (name: IncidentName): Recording => {
  const found = recordings.find((each) => each.name === name)
  if (!found) throw new Error(`there is no recording of ${name}`)
  return found
}
const ownKey = (name: string, labels = '') =>
  `${name}{${labels}instance="1",job="vestibule",namespace="auth"}`
const steady = (value: number) => [value, value, value, value]
const success = ownKey('vestibule_sign_ins_total', 'result="success",')
const toSignIn = ownKey('vestibule_checks_total', 'outcome="sign_in",source="none",')

type Expected = (typeof INCIDENTS)[IncidentName]
/** Recordings with another value of a series, where a test cannot cause the incident itself. */
const altered: readonly (readonly [
  what: string,
  changes: Recording['series'],
  expected: Expected,
  minutes?: number,
])[] = [
  [
    'memory at its limit',
    { [ownKey('vestibule_memory_limit_bytes')]: steady(200_000_000) },
    { during: { VestibuleMemoryHigh: 45 }, after: ['VestibuleMemoryHigh'] },
  ],
  [
    'a rollout that hangs',
    { [ownKey('vestibule_fleet_mismatches', 'kind="version",')]: [0, 1, 1, 0] },
    { during: { VestibuleReplicasOfTwoVersions: 60 } },
    180,
  ],
  [
    'replicas in two modes',
    { [ownKey('vestibule_fleet_mismatches', 'kind="mode",')]: [0, 1, 1, 0] },
    { during: { VestibuleReplicasIncompatible: 50 } },
  ],
  [
    'a rollout',
    { [ownKey('vestibule_fleet_mismatches', 'kind="version",')]: [0, 1, 1, 0] },
    { during: {} },
  ],
  [
    'three cancelled sign-ins',
    { [ownKey('vestibule_sign_ins_total', 'result="failure",')]: [0, 3, 3, 3] },
    { during: {} },
  ],
  [
    'a few reloaded callbacks',
    { [ownKey('vestibule_replays_refused_total', 'kind="login",')]: [0, 5, 5, 5] },
    { during: {} },
  ],
  [
    'no traffic',
    Object.fromEntries(
      Object.entries(recorded('calm').series).map(([key, [first = null]]) => [
        key,
        [first, first, first, first],
      ]),
    ),
    { during: {} },
  ],
]

describe.skipIf(promtoolMissing())('with what was recorded in real incidents', () => {
  test.for(Object.entries(INCIDENTS))('%s', ([name, { during, after = [] }]) => {
    const fired = firedIn(recorded(name as IncidentName))
    expect(fired).toEqual({ before: {}, during, after })
  })

  test.for(altered)('%s', ([, changes, { during, after = [] }, minutes = COURSE.during]) => {
    const changed = { series: { ...recorded('calm').series, ...changes } }
    expect(firedIn(changed, { ...COURSE, during: minutes })).toEqual({ before: {}, during, after })
  })
})
