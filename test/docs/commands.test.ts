import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Place, problemOf } from '../support/documented/command-kinds.ts'
import { LANGUAGES } from '../support/documented/data-kinds.ts'
import { type Block, blocksOf, PAGES, read } from '../support/documented/pages.ts'
import { shellCommands } from '../support/documented/shell-commands.ts'
import { fetchPrograms } from '../support/fetched-programs.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { VisitHeaders } from '../support/visitor.ts'

const missing = new Set(fetchPrograms(['kubectl', 'helm', 'promtool', 'curl', 'openssl']))
const blocks = PAGES.flatMap(blocksOf)
const nameOf = ({ page, line }: Block): string => `${page}:${line}`

describe.for([...new Set(blocks.map(({ page }) => page))])('the blocks of %s', (page) => {
  const own = blocksOf(page)
  const place: Place = { cwd: '.', sandbox: mkdtempSync(join(tmpdir(), 'vestibule-page-')) }
  beforeAll(() => {
    for (const { file, text } of own.filter((block) => block.file !== undefined)) {
      const path = join(place.sandbox, file ?? '')
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
  })
  afterAll(() => rmSync(place.sandbox, { recursive: true }))

  for (const block of own) {
    test(`line ${block.line}: ${block.language}`, async ({ skip }) => {
      const check = LANGUAGES[block.language]
      expect(check, `nobody knows the language ${block.language}`).toBeDefined()
      expect(await check?.(block)).toEqual([])
      if (block.language !== 'sh') return
      execFileSync('sh', ['-n'], { input: block.text, stdio: 'pipe' })
      const commands = shellCommands(block.text)
      const absent = commands.map(({ words }) => words[0] ?? '').filter((it) => missing.has(it))
      if (absent.length > 0) skip(`not on PATH: ${absent.join(', ')}`)
      place.cwd = '.'
      const problems: string[] = []
      for (const command of commands) {
        const problem = await problemOf(command, place)
        if (problem !== undefined) problems.push(`${command.words.join(' ')}: ${problem}`)
      }
      expect(problems).toEqual([])
    })
  }
})

describe('an answer that a page promises', () => {
  const OF_CURL: VisitHeaders = {
    Accept: '*/*',
    'Sec-Fetch-Mode': undefined,
    'Sec-Fetch-Dest': undefined,
    'Sec-Fetch-Site': undefined,
    'Sec-Fetch-User': undefined,
  }
  const asked = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap((block) => shellCommands(block.text).map((command) => ({ block, command })))
    .filter(({ command }) => command.words[0] === 'curl' && /^\d{3}\b/.test(command.comment ?? ''))

  test('is on some page', () => expect(asked.length).toBeGreaterThan(0))

  test.for(asked)('is given: $command.words ($command.comment)', async ({ command }) => {
    const { words, comment = '' } = command
    await using vestibule = await startVestibule({ PROTECTED_HOSTS: 'app.example.com' })
    const address = words.at(-1) ?? ''
    const { hostname, port, pathname, search } = new URL(address)
    const ask = (): Promise<{ readonly status: number }> => {
      if (hostname !== 'app.example.com') {
        const asked = port === '4181' ? vestibule.internalPort : vestibule.publicPort
        return fetch(`http://127.0.0.1:${asked}${pathname}${search}`, { redirect: 'manual' })
      }
      return pathname.startsWith('/oauth2/')
        ? vestibule.visitor().get(address, { headers: OF_CURL })
        : vestibule.check({ uri: pathname + search }, OF_CURL)
    }
    const { status } = await ask()
    expect(String(status)).toBe(comment.slice(0, 3))
  })
})

describe('a page for each way in', () => {
  const HEADINGS = [
    'What you need',
    'Files',
    'Commands',
    'What you should see',
    'When it does not work',
  ]
  const ways = PAGES.filter((page) => read(page).includes(`\n## ${HEADINGS[0]}\n`))

  test('is there', () => expect(ways).toContain('docs/compose.md'))

  test.for(ways)('%s has the same headings in the same order, and is led to', (page) => {
    const headings = [...read(page).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    expect(headings.slice(0, HEADINGS.length)).toEqual(HEADINGS)
    expect(read('README.md')).toContain(`(${page})`)
    expect(read('docs/deploy.md')).toContain(`(${page.replace('docs/', '')})`)
  })
})

test('every block has a name of its own', () => {
  expect(new Set(blocks.map(nameOf))).toHaveLength(blocks.length)
})
