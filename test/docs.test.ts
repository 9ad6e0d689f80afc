import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { settings } from '../src/config/settings.ts'
import { loadConfig } from '../src/config.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'

const PAGES = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const read = (page: string) => readFileSync(page, 'utf8')
const minimum = {
  PROTECTED_HOSTS: 'app.example.com',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
}

describe('the documentation', () => {
  const blocks = [...read('docs/rules.md').matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, text = '']) => text,
  )

  test('has examples of rules', () => {
    expect(blocks.length).toBeGreaterThan(1)
  })

  test.for(blocks)('shows rules that the loader accepts: %.40s', (text) => {
    const path = join(mkdtempSync(join(tmpdir(), 'vestibule-docs-')), 'rules.yaml')
    writeFileSync(path, text)
    const { rules } = loadConfig({ ...minimum, VESTIBULE_CONFIG: path })
    expect(rules.length).toBeGreaterThan(0)
  })

  test.for(PAGES)('%s names no setting that does not exist', (page) => {
    const known = new Set(Object.keys(settings.shape).flatMap((name) => [name, `${name}_FILE`]))
    const named = [...read(page).matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)].map(
      ([, name]) => name,
    )
    const strangers = named.filter((name) => !known.has(name ?? '') && name !== 'NAME_FILE')
    expect(strangers).toEqual([])
  })

  test('lists the metrics that there are', async () => {
    const { registry } = createMetrics({
      openedSessions: () => 0,
      isProviderDiscovered: () => true,
    })
    const own = /^vestibule_(?!process_|nodejs_)/
    const registered = (await registry.getMetricsAsJSON())
      .map(({ name }) => name)
      .filter((name) => own.test(name))
    const listed = [...read('docs/operations.md').matchAll(/^\| `(vestibule_[a-z0-9_]+)`/gm)].map(
      ([, name]) => name,
    )
    expect(new Set(listed)).toEqual(new Set(registered))
  })

  test.for(PAGES)('%s has no link that leads nowhere', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(
      ([, target = '']) => target,
    )
    const from = page.startsWith('docs/') ? 'docs' : '.'
    for (const target of links) expect(() => readFileSync(join(from, target))).not.toThrow()
  })
})
