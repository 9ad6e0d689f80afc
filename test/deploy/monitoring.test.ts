import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { INCIDENTS, type IncidentName } from '../support/alerts/incidents.ts'
import { groupingLabelsOf, selectorsOf } from '../support/alerts/promql.ts'
import { COURSE, firedIn, promtool, promtoolMissing, valuesIn } from '../support/alerts/promtool.ts'
import { ALERTS, type Recording, readRecordings, readRules } from '../support/alerts/recording.ts'
import { OBSERVED_AT_START } from '../support/observed-at-start.ts'
import { isSubset, named, rendered, type Workload } from './manifests.ts'

const NO_PROMTOOL = 'promtool is not on PATH: rules are looked at, not evaluated'
const rules = readRules()

interface Shown {
  readonly text: string
}

interface Mapping {
  readonly type: 'value' | 'range' | 'special'
  readonly options: Readonly<Record<string, Shown>> & {
    readonly from?: number
    readonly to?: number
    readonly result?: Shown
  }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
  readonly fieldConfig?: {
    readonly defaults: { readonly unit?: string; readonly mappings?: readonly Mapping[] }
  }
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
const ADDED = ['cluster', 'job', 'namespace', 'instance']

/** Every series of the product at its start with all features, and one of each kind of check, change and error. */
async function ownSeries() {
  const metrics = createMetrics({ hasRedis: true })
  metrics.observe(OBSERVED_AT_START)
  for (const outcome of ['allow', 'unauthenticated', 'forbidden', 'refused'] as const)
    metrics.check(outcome, 'memory', 0)
  metrics.check('allow', 'rule', 0)
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
const FOREIGN = new Set(['up', 'ALERTS'])

describe('each query', () => {
  test.for(queries)('%s names metrics, labels and values that there are', ([, query]) => {
    const selectors = selectorsOf(query)
    expect(selectors.length).toBeGreaterThan(0)
    const known = new Set(ADDED)
    for (const { name, matchers } of selectors) {
      const labels = series.get(name)
      if (!FOREIGN.has(name)) expect(labels, name).toBeDefined()
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
      expect(section.slice(0, 800), alert).toMatch(
        /^\n- \*\*Look at:\*\* .+\n(?: {2}.+\n)*- \*\*Do:\*\* /,
      )
      expect(time, alert).toMatch(/^\d+[mh]$/)
    }
    const sections = [...page.matchAll(/^### (Vestibule\w+)$/gm)].map(([, name = '']) => name)
    expect(sections.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted())
  })

  test('promtool accepts them, and the configuration beside them', ({ skip }) => {
    if (promtoolMissing()) return skip(NO_PROMTOOL)
    expect(promtool('check', 'rules', ALERTS)).toContain(`SUCCESS: ${rules.length} rules found`)
    expect(promtool('check', 'config', 'deploy/monitoring/prometheus.yaml')).toContain('is valid')
  })

  test('each of them fires in a test', () => {
    // Has a test of its own.
    const others = ['VestibuleNobodySignsIn']
    const fired = [
      ...Object.values(INCIDENTS),
      ...altered.map(([, , incident]) => incident),
    ].flatMap(({ during, after = [] }) => [...Object.keys(during), ...after])
    expect([...new Set([...fired, ...others])].toSorted()).toEqual(
      rules.map(({ alert }) => alert).toSorted(),
    )
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
type Expected = (typeof INCIDENTS)[IncidentName]
const [, , resident] =
  recorded('calm').series[ownKey('vestibule_process_resident_memory_bytes')] ?? []
const nearly = 1.05 * Number(resident)

/** Recordings with another value of a series, where a test cannot cause the incident itself. */
const altered: readonly (readonly [
  what: string,
  changes: Recording['series'],
  expected: Expected,
  minutes?: number,
])[] = [
  [
    'memory at its limit',
    { [ownKey('vestibule_memory_limit_bytes')]: [Infinity, nearly, nearly, nearly] },
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
    { [ownKey('vestibule_sign_ins_total', 'result="refused",')]: [0, 3, 3, 3] },
    { during: {} },
  ],
  [
    'an outage in a flood of strangers',
    {
      [ownKey('vestibule_checks_total', 'outcome="unavailable",source="none",')]: [0, 20, 40, 40],
      [ownKey('vestibule_checks_total', 'outcome="sign_in",source="none",')]: [0, 1e4, 2e4, 2e4],
      [ownKey('vestibule_checks_total', 'outcome="allow",source="rule",')]: [0, 1e4, 2e4, 2e4],
    },
    { during: { VestibuleChecksRefused: 58 } },
  ],
  [
    'the rollout of a single replica',
    { [ownKey('vestibule_fleet_replicas')]: [0, 1, 0, 0] },
    { during: {} },
  ],
  [
    'the same installation in another cluster ends',
    {
      [ownKey('vestibule_process_start_time_seconds', 'cluster="b",')]: [-1, null, null, null],
    },
    { during: { VestibuleGone: 57 }, after: ['VestibuleGone'] },
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

/** Rules are evaluated every two minutes, and versions of Prometheus differ in whether a range has its left end. */
function expectFired(
  fired: ReturnType<typeof firedIn>,
  during: Expected['during'],
  after: readonly string[],
): void {
  expect([fired.before, fired.after]).toEqual([{}, after])
  expect(Object.keys(fired.during)).toEqual(Object.keys(during))
  for (const [alert, minutes] of Object.entries(during))
    expect(Math.abs((fired.during[alert] ?? 0) - minutes), `${alert} fires`).toBeLessThanOrEqual(2)
}

describe.skipIf(promtoolMissing())(
  `with what was recorded in real incidents${promtoolMissing()}`,
  () => {
    test.for(Object.entries(INCIDENTS))('%s', ([name, { during, after = [] }]) => {
      expectFired(firedIn(recorded(name as IncidentName)), during, after)
    })

    test.for(altered)('%s', ([, changes, { during, after = [] }, minutes = COURSE.during]) => {
      const changed = { series: { ...recorded('calm').series, ...changes } }
      expectFired(firedIn(changed, { ...COURSE, during: minutes }), during, after)
    })
  },
)

test('people who are sent to sign in and never come back are noticed where it was otherwise a week ago', ({
  skip,
}) => {
  if (promtoolMissing()) return skip(NO_PROMTOOL)
  // A week in steps of ten minutes, and its first two hours with sign-ins.
  const drawn = {
    [ownKey('vestibule_sign_ins_total', 'result="success",')]: '0+10x12 120+0x1012',
    [ownKey('vestibule_checks_total', 'outcome="sign_in",source="none",')]: '0+0x1008 10+10x11',
  }
  const course = { before: 1008, during: 6, after: 10, each: 10 }
  const { before, during } = firedIn({ series: drawn }, course, 'VestibuleNobodySignsIn')
  expect([before, during]).toEqual([{}, { VestibuleNobodySignsIn: expect.any(Number) as number }])
  const other = { ...drawn, [Object.keys(drawn)[0] ?? '']: '0+0x1024' }
  expect(firedIn({ series: other }, course, 'VestibuleNobodySignsIn').during).toEqual({})
})

describe('the dashboard', () => {
  test('has a title, a description, a unit and queries in each panel, which fill the rows', () => {
    expect(dashboard.schemaVersion).toBe(42)
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const {
      type,
      title,
      description,
      gridPos,
      fieldConfig,
      targets: own,
    } of dashboard.panels) {
      expect(title).not.toBe('')
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      if (type === 'row') continue
      expect(description, title).toMatch(/\.$/)
      expect(fieldConfig?.defaults.unit, title).toBeDefined()
      expect(own?.length, title).toBeGreaterThan(0)
    }
  })

  /** Answers of the panels Us, Redis and Provider. */
  const firstRow: Partial<Record<IncidentName, readonly string[]>> = {
    calm: ['works', 'works', 'works'],
    'Redis is killed': ['works', 'away', 'works'],
    'Redis is frozen': ['works', 'away', 'works'],
    'Redis is full': ['works', 'refuses sessions', 'works'],
    'Redis is slow': ['works', 'slow', 'works'],
    'the provider is away at the start': ['works', 'works', 'not discovered'],
    'the token endpoint fails': ['works', 'works', 'fails'],
    'the provider refreshes nothing': ['works', 'works', 'fails'],
    'the provider refuses the client': ['client refused', 'works', 'works'],
    'strangers forge callbacks': ['works', 'works', 'works'],
    'keys differ': ['impaired', 'works', 'works'],
    'the event loop is kept busy': ['impaired', 'works', 'works'],
    'all replicas are killed': ['no replica answers', 'no data', 'no data'],
  }

  test.for(Object.entries(firstRow))(
    'tells whether it is us, Redis or the provider: %s',
    ([name, answers], { skip }) => {
      if (promtoolMissing()) return skip(NO_PROMTOOL)
      const panels = dashboard.panels.slice(1, 4)
      expect(panels.map(({ title }) => title)).toEqual(['Us', 'Redis', 'Provider'])
      const asked = panels.map((panel) =>
        (panel.targets?.[0]?.expr ?? '').replaceAll(/\$\w+/g, '.*'),
      )
      const values = valuesIn(recorded(name as IncidentName), asked)
      expect(values.map((value, index) => shownText(panels[index], value))).toEqual(answers)
    },
  )

  test('asks for what its variables name, and each query for all of them', () => {
    const variables = dashboard.templating.list.map(({ name }) => name)
    expect(variables).toEqual(['datasource', 'namespace', 'job', 'instance'])
    for (const { title, expr } of targets) {
      for (const { matchers } of selectorsOf(expr)) {
        const asked = matchers
          .map(({ label, value }) => [label, value])
          .filter(([, value]) => value?.startsWith('$'))
        expect(Object.fromEntries(asked), title).toEqual({
          namespace: '$namespace',
          job: '$job',
          instance: '$instance',
        })
      }
    }
    for (const { definition = '' } of dashboard.templating.list.slice(1)) {
      const metric = /^label_values\((\w+)/.exec(definition)?.[1] ?? ''
      expect(series.has(metric), definition).toBe(true)
    }
  })
})

/** Returns the text that Grafana shows in place of a value. */
function shownText(panel: Panel | undefined, value: number | undefined): string | undefined {
  for (const { type, options } of panel?.fieldConfig?.defaults.mappings ?? []) {
    if (type === 'special' && value === undefined) return options.result?.text
    if (type === 'value' && options[`${value}`]) return options[`${value}`]?.text
    const { from = Infinity, to = -Infinity, result } = options
    if (type === 'range' && value !== undefined && from <= value && value <= to) return result?.text
  }
  return undefined
}

interface Inhibition {
  readonly source_matchers: readonly string[]
  readonly target_matchers: readonly string[]
}

describe('Alertmanager', () => {
  const file = parse(readFileSync('deploy/monitoring/alertmanager.yaml', 'utf8')) as {
    inhibit_rules: readonly Inhibition[]
  }
  const pages = new Set(
    rules.filter(({ labels }) => labels['severity'] === 'page').map(({ alert }) => alert),
  )
  const meets = (alert: string, matchers: readonly string[]) =>
    matchers.every((matcher) => {
      const [, op = '', value = ''] = /^alertname(=~|!=|=)"(.*)"$/.exec(matcher) ?? []
      const isMet = op === '=~' ? new RegExp(`^(?:${value})$`).test(alert) : alert === value
      return op === '!=' ? !isMet : isMet
    })

  test('names alerts that there are', () => {
    for (const { source_matchers: source, target_matchers: target } of file.inhibit_rules) {
      for (const matchers of [source, target])
        expect(
          rules.some(({ alert }) => meets(alert, matchers)),
          matchers.join(),
        ).toBe(true)
      const listed = /"Vestibule\((.*)\)"$/.exec(target[0] ?? '')?.[1]?.split('|') ?? []
      for (const name of listed)
        expect(rules.map(({ alert }) => alert)).toContain(`Vestibule${name}`)
    }
  })

  test.for(Object.entries(INCIDENTS))('pages at most once: %s', ([, { during }]) => {
    const fired = Object.keys(during)
    const heard = fired.filter(
      (alert) =>
        !file.inhibit_rules.some(
          ({ source_matchers: source, target_matchers: target }) =>
            meets(alert, target) && fired.some((each) => each !== alert && meets(each, source)),
        ),
    )
    expect(heard.filter((alert) => pages.has(alert)).length).toBeLessThanOrEqual(1)
    expect(heard.length === 0).toBe(fired.length === 0)
  })
})

test('the component for kustomize has the rules, the dashboard under a name that stays, and finds the pods', ({
  skip,
}) => {
  const objects = rendered('components/monitoring')
  if (!objects) return skip('kubectl is not on PATH: the component is not rendered')
  const rule = objects.find(({ kind }) => kind === 'PrometheusRule')
  expect(rule?.spec).toEqual(parse(readFileSync(ALERTS, 'utf8')))
  const config = objects.find(({ kind }) => kind === 'ConfigMap')
  expect(config?.metadata).toEqual({
    name: 'vestibule-dashboard',
    labels: { grafana_dashboard: '1' },
  })
  expect(JSON.parse(config?.data?.['vestibule.json'] ?? '')).toEqual(dashboard)
  const monitor = named<{
    selector: { matchLabels: Record<string, string> }
    jobLabel: string
    podMetricsEndpoints: { port: string }[]
  }>(objects, 'PodMonitor', 'vestibule')
  const base = rendered('base') ?? []
  const { template } = named<Workload>(base, 'Deployment', 'vestibule').spec
  expect(isSubset(monitor.spec.selector.matchLabels, template.metadata.labels)).toBe(true)
  expect(template.metadata.labels[monitor.spec.jobLabel]).toBe('vestibule')
  const ports = template.spec.containers[0].ports.map(({ name }) => name)
  for (const { port } of monitor.spec.podMetricsEndpoints) expect(ports).toContain(port)
})
