import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { explain } from '../../src/commands/explain/explain.ts'
import { USAGE } from '../../src/commands/explain/parse-options.ts'
import { loadConfig } from '../../src/config/load.ts'
import { runCommand } from '../support/command.ts'

/** The page on tokens continues the reference. */
const PAGE = ['docs/rules.md', 'docs/tokens.md'].map((path) => readFileSync(path, 'utf8')).join('')
const ENVIRONMENT = { PROTECTED_HOSTS: '*.example.com' }
const PROVIDER = { OIDC_ISSUER_URL: 'https://id.example.com', OIDC_CLIENT_ID: 'vestibule' }

/** Rules file of the page, and the blocks that belong to it, up to the next rules file or heading. */
interface Example {
  readonly title: string
  readonly isReference: boolean
  readonly rules: string
  /** Requests with their answers. */
  readonly requests: string | undefined
  /** Arguments of the command with what it prints. */
  readonly asked: readonly (readonly [args: string, output: string])[]
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
  text
    .split('```yaml\n# vestibule.yaml\n')
    .slice(1)
    .map((piece, index) => ({
      title: index === 0 ? title : `${title}, ${index + 1}`,
      isReference,
      rules: piece.slice(0, piece.indexOf('```')),
      requests: /^```yaml\n# rules\.test\.yaml\n(.*?)^```$/ms.exec(piece)?.[1],
      asked: [...piece.matchAll(/^```console\n\$ vestibule explain ([^\n]*)\n(.*?)^```$/gms)].map(
        ([, args = '', output = '']) => [args, output] as const,
      ),
    })),
)
const commands = examples.flatMap(({ rules, asked }) =>
  asked.map(([args, output]) => ({ rules, args, output })),
)

describe('the page on rules', () => {
  test('has every block of requests below the rules that it is about', () => {
    const written = PAGE.match(/^# rules\.test\.yaml$/gm) ?? []
    expect(examples.filter(({ requests }) => requests !== undefined)).toHaveLength(written.length)
    expect(commands).toHaveLength(PAGE.match(/^```console$/gm)?.length ?? 0)
  })

  test.for(sections.filter(({ isTask }) => isTask))('has an example for "$title"', ({ title }) => {
    expect(examples.map((example) => example.title)).toContain(title)
  })

  test.for(examples)('has rules that load: $title', ({ rules }) => {
    expect(loaded(rules).length).toBeGreaterThan(0)
  })

  test.for(examples.filter(({ isReference }) => !isReference))(
    'says who may pass and who may not: $title',
    ({ requests = '[]' }) => {
      const answers = (parse(requests) as { expect: string }[]).map((each) => each.expect)
      expect(answers).toContain('allow')
      expect(new Set(answers).size).toBeGreaterThan(1)
    },
  )

  test.for(examples.filter(({ requests }) => requests !== undefined))(
    'says what the check answers: $title',
    async ({ rules, requests = '' }) => {
      using file = writeTemporary(requests)
      const { code, output } = await explained(rules, `--tests=${file.path}`)
      expect(code, output).toBe(0)
    },
  )

  test.for(commands)('shows what explain prints for $args', async ({ rules, args, output }) => {
    expect(await explained(rules, ...args.split(' '))).toEqual({ code: 0, output })
  })

  test('is summed up in the README by rules that load', () => {
    const [, rules = ''] = /```yaml\n(rules:.*?)```/s.exec(readFileSync('README.md', 'utf8')) ?? []
    expect(loaded(rules).length).toBeGreaterThan(1)
  })

  test('names the options of explain', () => {
    expect(new Set(PAGE.match(/(?<=\| .*`)--[a-z]+/g))).toEqual(new Set(USAGE.match(/--[a-z]+/g)))
  })
})

function loaded(rules: string) {
  using file = writeTemporary(rules)
  return loadConfig({ ...ENVIRONMENT, ...PROVIDER, VESTIBULE_CONFIG: file.path }).rules.rules
}

async function explained(rules: string, ...args: readonly string[]) {
  using file = writeTemporary(rules)
  return runCommand(() => explain({ ...ENVIRONMENT, VESTIBULE_CONFIG: file.path }, ...args))
}

function writeTemporary(text: string) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-docs-'))
  const path = join(folder.path, 'file.yaml')
  writeFileSync(path, text)
  return { path, [Symbol.dispose]: () => folder.remove() }
}
