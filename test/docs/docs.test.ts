import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { settings } from '../../src/config/settings/settings.ts'
import { END_REASONS } from '../../src/core/end-reason.ts'
import { claimsOf, IDENTITY_HEADERS, sentNames } from '../../src/core/identity-headers.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { OBSERVED_AT_START } from '../support/observed-at-start.ts'

const PAGES = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const read = (page: string) => readFileSync(page, 'utf8')
/** Environment variables of others. */
const NOT_OURS = [
  'NAME_FILE',
  'HTTP_PROXY',
  'NO_PROXY',
  'NODE_OPTIONS',
  'MALLOC_ARENA_MAX',
  'REDISCLI_AUTH',
]
const sources = () =>
  readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
/** Options of the services that `vestibule migrate` reads, spelled as variables. */
const oldOptions = () =>
  sources()
    .filter((path) => path.startsWith('migrate/'))
    .map((path) => read(`src/${path}`).replaceAll(/[-.]/g, '_').toUpperCase())
    .join('\n')
describe('the documentation', () => {
  test.for(PAGES)('%s names no setting that does not exist', (page) => {
    const known = new Set([
      ...NOT_OURS,
      'COMPOSE_FILE', // of Compose
      ...Object.keys(settings.shape).flatMap((name) => [name, `${name}_FILE`]),
    ])
    // Blocks of TypeScript name constants of the code as well.
    const text = read(page).replace(/```ts[^`]*```/g, '')
    const named = text.match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? []
    const old = page.startsWith('docs/migrate-') ? oldOptions() : ''
    const strangers = named.filter(
      (name) => !known.has(name) && !old.includes(name.replace('OAUTH2_PROXY_', '')),
    )
    expect(strangers).toEqual([])
  })

  test('lists the metrics that there are', async () => {
    const metrics = createMetrics({ hasRedis: true })
    metrics.observe(OBSERVED_AT_START)
    const own = /^vestibule_(?!process_|nodejs_)/
    const registered = (await metrics.registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => own.test(name))
    const listed = [...read('docs/operations.md').matchAll(/^\| `(vestibule_[a-z0-9_]+)`/gm)].map(
      ([, name]) => name,
    )
    expect(new Set(listed)).toEqual(new Set(registered))
  })

  test.for([
    [
      'classes of failures',
      /type (?:Redis|Reply)Failure =(.*?)\n\n/s,
      '| `class` | what',
      ['failure.ts', 'reply-errors.ts'],
    ],
    ['findings', /type FindingCode =(.*?)\n\n/s, '| `code` | meaning', ['examine/finding.ts']],
  ] as const)('lists the %s of Redis that there are', ([, union, head, paths]) => {
    const named = paths.flatMap((path) => {
      const [, text = ''] = union.exec(read(`src/redis/${path}`)) ?? []
      return [...text.matchAll(/'([a-z]+)'/g)].map(([, name]) => name)
    })
    const listed = rowsBelow(head).map((row) => /^\| `([a-z]+)`/.exec(row)?.[1])
    expect(named.length).toBeGreaterThan(0)
    expect(new Set(listed)).toEqual(new Set(named))
  })

  test('lists the events that are logged', () => {
    const logged = sources().flatMap((path) =>
      [...read(`src/${path}`).matchAll(/\bevent: '([a-z_]+)'/g)].map(([, event]) => event),
    )
    const listed = rowsBelow('| `event` |').flatMap((row) =>
      [...(row.split('|')[1] ?? '').matchAll(/`([a-z_]+)`/g)].map(([, event]) => event),
    )
    expect(new Set(listed)).toEqual(new Set(logged))
    expect(logged.length).toBeGreaterThan(0)
  })

  test('lists the reasons for which sessions end', () => {
    const [, table = ''] = read('docs/connected-clients.md').split('| `reason` |')
    const rows = table.split('\n\n')[0]?.matchAll(/^\| `([a-z-]+)`/gm) ?? []
    expect([...rows].map(([, reason]) => reason)).toEqual(END_REASONS)
  })

  test.for(['vestibule_event_streams_closed_total', 'vestibule_events_sent_total'])(
    'lists the values of %s',
    async (name) => {
      const { registry } = createMetrics({ hasRedis: false })
      const metric = await registry.getSingleMetric(name)?.get()
      const values = metric?.values.flatMap(({ labels }) => Object.values(labels)) ?? []
      const row = read('docs/operations.md').split(`| \`${name}\` |`)[1]?.split('\n')[0] ?? ''
      const listed = [...(row.split('|')[1] ?? '').matchAll(/`([a-z-]+)`/g)].map(
        ([, value]) => value,
      )
      expect(values.length).toBeGreaterThan(0)
      expect(new Set(listed)).toEqual(new Set(values))
    },
  )

  test.for([
    ['README.md', /^ +authResponseHeaders:\n((?: +- .*\n)+)/m],
    ['docs/headers.md', /^authResponseHeaders:\n((?: +- .*\n)+)/m],
  ] as const)('%s lists the headers that are given to apps', ([page, list]) => {
    const names = [...sentNames(IDENTITY_HEADERS), 'Cookie']
    expect(parse(list.exec(read(page))?.[1] ?? '')).toEqual(names)
  })

  test('names the claim of each header that every answer has', () => {
    const [, rows = ''] = read('docs/headers.md').split('| header | claim |\n|---|---|\n')
    const table = IDENTITY_HEADERS.map(
      (header) => `| \`${header.name}\` | \`${claimsOf(header).join()}\` |\n`,
    )
    expect(rows.startsWith(`${table.join('')}\n`)).toBe(true)
  })

  test('names attacks that there are tests for', () => {
    const files = new Set(
      readdirSync('test/threats').flatMap((name) => [...name.matchAll(/a\d+/g)].map(([id]) => id)),
    )
    const named = [...read('docs/security.md').matchAll(/`(a\d+)`/g)].map(([, id]) => id)
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter((id = '') => !files.has(id))).toEqual([])
  })

  test.for(PAGES)('every link of %s leads to a file and a heading that exist', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)]
    const broken = links.filter(([, target = '', anchor]) => {
      const path = target === '' ? page : join(dirname(page), target)
      return !existsSync(path) || (anchor !== undefined && !anchorsOf(path).has(anchor))
    })
    expect(broken.map(([link]) => link)).toEqual([])
  })
})

function rowsBelow(head: string): readonly string[] {
  const [, table = ''] = read('docs/operations.md').split(head)
  return table.split('\n\n')[0]?.split('\n').slice(2) ?? []
}

/** Anchors of a page as GitHub makes them from its headings. */
function anchorsOf(path: string): ReadonlySet<string> {
  const text = read(path).replaceAll(/^```[\s\S]*?^```/gm, '')
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}
