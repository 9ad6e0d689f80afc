import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { ConfigError } from '../../../src/config/config-error.ts'
import { makeFolder, startKeptRules } from '../../support/kept-rules.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'

const OLD = 'rules:\n  - access: signed-in\n    groups: [old]\n'
const NEW = `${OLD}  - access: deny\n`
/** Makes a file without a rule one that could be used at the start. */
const ENVIRONMENT = { PUBLIC_PATHS: '/open' }
const [IN_OLD, IN_NEW] = ['signed-in public', 'signed-in deny public']

/** Stands where a value is, and must stand nowhere else. */
const VALUE = 'eve@secret.example'
const LONG_MS = 5000
/** Longer than the time after which a refused set is tried again. */
const VERY_LONG_MS = 10_000

const clock = useMonotonicClock('with intervals')

type Folder = ReturnType<typeof makeFolder>

const NAMED = 'VESTIBULE_CONFIG: '
const linkTo =
  (target: (path: string) => string) =>
  ({ path }: Folder) => {
    rmSync(path)
    symlinkSync(target(path), path)
  }
/** Places of the first faults, and how many more there are. */
const MANY = [...Array.from({ length: 10 }, (_, at) => `${NAMED}rules.${at}`), 'and 2 more']
const withRule = (text: string) => `rules:\n  - access: signed-in\n    ${text}\n`

describe('rules that cannot be used', () => {
  test.for<[string, string | ((folder: Folder) => void), reason: string | RegExp | string[]]>([
    ['an empty file', '', `${NAMED}the file: is empty`],
    ['blanks', ' \n\n', `${NAMED}the file: is empty`],
    ['comments alone', `# ${VALUE}\n---\n# none\n`, `${NAMED}the file: is empty`],
    ['a text', VALUE, `${NAMED}the file: is not a map of settings and rules`],
    ['no YAML', `rules: [${VALUE}`, /^VESTIBULE_CONFIG: not YAML: line \d+, column \d+: /],
    ['a key twice', `${OLD}rules: []\n`, /^VESTIBULE_CONFIG: not YAML: .* a key is there twice$/],
    ['an unknown key', withRule(`${VALUE}: true`), `${NAMED}rules.0`],
    ['an unknown access', `rules:\n  - access: ${VALUE}\n`, `${NAMED}rules.0.access`],
    ['a host that is none', withRule(`hosts: ["${VALUE}/", "${VALUE}?"]`), 'rules.0.hosts'],
    ['a pattern that is none', withRule(`paths: ["${VALUE}"]`), 'rules.0.paths'],
    ['an address that is none', withRule(`emails: ["${VALUE}@"]`), 'rules.0.emails.0'],
    ['another setting of no use', `sessionMaxAge: ${VALUE}\n${OLD}`, /^VESTIBULE_CONFIG: /],
    [
      'a value of no use',
      `session:\n  maxAge: ${VALUE}\n${OLD}`,
      `${NAMED}session.maxAge (SESSION_MAX_AGE)`,
    ],
    ['a file that is gone', ({ path }) => rmSync(path), /cannot be read \(ENOENT\)/],
    [
      'a folder in its place',
      ({ path }) => {
        rmSync(path)
        mkdirSync(path)
      },
      /cannot be read \(not a file\)/,
    ],
    [
      'a pipe in its place',
      ({ path }) => {
        rmSync(path)
        execFileSync('mkfifo', [path])
      },
      /cannot be read \(not a file\)/,
    ],
    ['a link to itself', linkTo((path) => path), /cannot be read \(ELOOP\)/],
    ['a disk that fails', linkTo(() => '/proc/self/mem'), /cannot be read \(EIO\)/],
    [
      'a pipe in the place of a list',
      ({ folder, write }) => {
        execFileSync('mkfifo', [`${folder}/list`])
        write(`allowedGroupsFile: ${folder}/list\n${NEW}`)
      },
      /^VESTIBULE_CONFIG: allowedGroupsFile: .* cannot be read \(not a file\)/,
    ],
    ['more faults than a line holds', 'rules: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]', MANY],
  ])(
    'as %o leave the last good ones, are told once, and are forgotten with the next good ones',
    async ([, change, reason]) => {
      using folder = makeFolder(OLD)
      using rules = startKeptRules(folder.path, clock, ENVIRONMENT)
      rules.pass(LONG_MS)
      if (typeof change === 'string') folder.write(change)
      else change(folder)
      expect(rules.pass(VERY_LONG_MS)).toEqual([IN_OLD])
      expect([rules.events(), rules.codes()]).toEqual([
        ['rules_not_reloaded'],
        ['rules_not_reloaded'],
      ])
      expect(rules.reasons()).toEqual(
        reason instanceof RegExp ? [expect.stringMatching(reason)] : [reason].flat(),
      )
      expect(rules.output() + JSON.stringify(rules.kept.findings())).not.toContain(VALUE)
      rmSync(folder.path, { recursive: true, force: true })
      folder.write(NEW)
      expect(rules.pass(LONG_MS).at(-1)).toBe(IN_NEW)
      expect([rules.events(), rules.codes()]).toEqual([
        ['rules_not_reloaded', 'rules_reloaded'],
        [],
      ])
      expect(await rules.reloads()).toEqual([1, 1])
    },
  )

  test('are told again only for another fault, and their end also where the old ones come back', () => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock, ENVIRONMENT)
    for (const text of ['', '#', 'rules: 1\n', 'rules: 2 # still\n', '']) {
      folder.write(text)
      rules.pass(LONG_MS)
    }
    folder.write(OLD)
    expect(rules.pass(LONG_MS)).toEqual([IN_OLD])
    const refused = 'rules_not_reloaded'
    expect(rules.events()).toEqual([refused, refused, refused, 'rules_reloaded'])
    expect(rules.codes()).toEqual([])
  })

  test('are told again where their file cannot be read for another reason', () => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock, ENVIRONMENT)
    rules.pass(LONG_MS)
    rmSync(folder.path)
    rules.pass(LONG_MS)
    symlinkSync(folder.path, folder.path)
    rules.pass(LONG_MS)
    const [gone, looped] = rules.reasons()
    expect([gone, looped]).toEqual([
      expect.stringContaining('(ENOENT)'),
      expect.stringContaining('(ELOOP)'),
    ])
  })

  test.for<[takesMs: number, count: number]>([
    [0, 60],
    [100, 12],
    [1500, 1],
  ])('whose reading takes %d ms are read %d times in 120 s', ([takesMs, count]) => {
    using folder = makeFolder(OLD)
    const readAgain = vi.fn(() => {
      clock.elapse(takesMs)
      throw new ConfigError([])
    })
    using rules = startKeptRules(folder.path, clock, ENVIRONMENT, () => ({ readAgain }))
    rules.pass(120_000 - count * takesMs)
    expect(readAgain).toHaveBeenCalledTimes(count)
  })

  test('by a fault of ours are told by its kind', () => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock, ENVIRONMENT, () => ({
      readAgain() {
        throw new TypeError(VALUE)
      },
    }))
    expect(rules.pass(LONG_MS)).toEqual([IN_OLD])
    expect([rules.reasons(), rules.codes()]).toEqual([
      ['unexpected error: TypeError'],
      ['rules_not_reloaded'],
    ])
    expect(rules.output()).not.toContain(VALUE)
  })

  test('are tried again, because a file that they name may come later', () => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock, ENVIRONMENT)
    const list = `${folder.folder}/groups`
    folder.write(`allowedGroupsFile: ${list}\n${NEW}`)
    rules.pass(LONG_MS)
    expect([rules.accesses(), rules.codes()]).toEqual([IN_OLD, ['rules_not_reloaded']])
    writeFileSync(list, 'new\n')
    expect(rules.pass(LONG_MS).at(-1)).toBe(`${IN_NEW} signed-in`)
  })
})
