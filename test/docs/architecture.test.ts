import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const read = (path: string) => readFileSync(path, 'utf8')
const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join('src', path))
const tests = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join('test', path))
const page = read('docs/architecture.md')
const ROOMS = readdirSync('src')

const PAGES = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]

test.for(PAGES)('every path in %s exists', (name) => {
  const paths = [...read(name).matchAll(/`((?:src|test|stand-ins|demo|bench|deploy)\/[\w./-]+)`/g)]
  expect(paths.map(([, path = '']) => path).filter((path) => !existsSync(path))).toEqual([])
})

test.for(ROOMS)('src/%s has a floor on the page and in the linter', (room) => {
  expect(page).toMatch(new RegExp(`^\\| \\d+ \\| \`src/${room.replace('.', '\\.')}/?\` \\|`, 'm'))
  if (room === 'main.ts') return
  const { overrides } = JSON.parse(read('.oxlintrc.json')) as { overrides: { files: string[] }[] }
  const files = room.endsWith('.ts') ? `src/${room}` : `src/${room}/**`
  expect(overrides.flatMap((each) => each.files)).toContain(files)
})

test('the setting of the example stands in its table and at its use, and nowhere else in src', () => {
  const holders = sources.filter((path) => read(path).includes('REDIS_HYBRID_L1_TTL'))
  expect(holders).toEqual(['src/compose/sessions.ts', 'src/config/settings/cache.ts'])
  const use = /^servedMs: .*/m.exec(page)?.[0]
  expect(read('src/compose/sessions.ts')).toContain(use)
})

test('no comment begins with a word that hides its subject', () => {
  const hidden = [...sources, ...tests].flatMap((path) =>
    [
      ...read(path).matchAll(/(?:\/\*\*\s*(?:\*\s*)?|^\s*\/\/ )(What|Who|Of|Nothing|Where)\b/gm),
    ].map(([, word]) => `${path}: ${word}`),
  )
  expect(hidden).toEqual([])
})

test('the glossary explains every id of an attack, fault or finding in src, and no other', () => {
  const used = sources.flatMap((path) => [...read(path).matchAll(/\b[ACF]\d{1,3}\b/g)].map(String))
  const explained = [...read('docs/glossary.md').matchAll(/^\| ([ACF]\d+) \|/gm)].map(
    ([, id]) => id,
  )
  expect(new Set(explained)).toEqual(new Set(used))
})
