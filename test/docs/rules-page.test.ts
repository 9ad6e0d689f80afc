import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { explain } from '../../src/commands/explain/explain.ts'
import { loadConfig } from '../../src/config/load.ts'
import { runCommand } from '../support/command.ts'

/** Rules file of the page, and the requests that stand directly below it with their answers. */
interface Example {
  readonly title: string
  readonly isReference: boolean
  readonly rules: string
  readonly requests: string | undefined
}

const PAGE = readFileSync('docs/rules.md', 'utf8')
const EXAMPLE =
  /^```yaml\n(?<rules># vestibule\.yaml\n.*?)^```\n(?:\n```yaml\n(?<requests># rules\.test\.yaml\n.*?)^```\n)?/gms
const ENVIRONMENT = { PROTECTED_HOSTS: '*.example.com' }
const IDENTITY_PROVIDER = {
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
}

const sections = PAGE.split(/^## /m).flatMap((part) =>
  part.split(/^### /m).map((text, index) => ({
    title: text.slice(0, text.indexOf('\n')).replace(/^# /, ''),
    isTask: part.startsWith('Tasks\n') && index > 0,
    isReference: part.startsWith('Reference\n'),
    text,
  })),
)
const examples = sections.flatMap(({ title, isReference, text }): readonly Example[] =>
  [...text.matchAll(EXAMPLE)].map(({ groups = {} }, index) => ({
    title: index === 0 ? title : `${title}, ${index + 1}`,
    isReference,
    rules: groups['rules'] ?? '',
    requests: groups['requests'],
  })),
)
const tried = examples.flatMap(({ requests, ...example }) =>
  requests === undefined ? [] : [{ ...example, requests }],
)

describe('the page on rules', () => {
  test('has every block of rules and of requests in an example', () => {
    const written = [...PAGE.matchAll(/^# (?:vestibule|rules\.test)\.yaml$/gm)]
    expect(written.length).toBeGreaterThan(2)
    expect(examples.length + tried.length).toBe(written.length)
  })

  test.for(sections.filter(({ isTask }) => isTask))('has an example for "$title"', ({ title }) => {
    expect(examples.map((example) => example.title)).toContain(title)
  })

  test.for(examples)('has rules that load: $title', ({ rules }) => {
    using file = written('vestibule.yaml', rules)
    const config = loadConfig({
      ...ENVIRONMENT,
      ...IDENTITY_PROVIDER,
      VESTIBULE_CONFIG: file.path,
    })
    expect(config.rules.rules.length).toBeGreaterThan(0)
  })

  test.for(examples.filter(({ isReference }) => !isReference))(
    'says of each task who may pass and who may not: $title',
    ({ requests = '[]' }) => {
      const answers = (parse(requests) as { expect: string }[]).map(({ expect: answer }) => answer)
      expect(answers).toContain('allow')
      expect(new Set(answers).size).toBeGreaterThan(1)
    },
  )

  test.for(tried)('says what requests get: $title', async ({ rules, requests }) => {
    using file = written('vestibule.yaml', rules)
    using asked = written('rules.test.yaml', requests)
    const { code, output } = await runCommand(() =>
      explain({ ...ENVIRONMENT, VESTIBULE_CONFIG: file.path }, '--tests', asked.path),
    )
    expect(code, output).toBe(0)
  })
})

function written(name: string, text: string) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-docs-'))
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return { path, [Symbol.dispose]: () => folder.remove() }
}
