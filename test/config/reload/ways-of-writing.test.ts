import { execFileSync } from 'node:child_process'
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { makeFolder, startKeptRules, swapLink } from '../../support/kept-rules.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'

const NEW =
  'rules:\n  - paths: [/admin/**]\n    access: deny\n  - access: signed-in\n    groups: [new]\n'
/** As long as `NEW`. */
const OLD = 'rules:\n  - access: signed-in\n    groups: [old]\n'.padEnd(NEW.length, '#')
const [IN_OLD, IN_NEW] = ['signed-in', 'deny signed-in']
/** Valid prefix of `NEW` that lets everybody in who is signed in. */
const WIDER = NEW.slice(0, NEW.indexOf('    groups'))

/** Bound within which a change has to hold. */
const BOUND_MS = 5000
const SETTLED_MS = 2000
const POLL_MS = 250

const clock = useMonotonicClock('with intervals')

type Folder = ReturnType<typeof makeFolder>

function startWith(folder: Folder) {
  const rules = startKeptRules(folder.path, clock)
  rules.pass(SETTLED_MS + POLL_MS)
  return rules
}

describe('changed rules', () => {
  test.for<[string, (folder: Folder) => void]>([
    ['written in place', ({ write }) => write(NEW)],
    [
      'written in place with the length and the time of the old ones',
      ({ path, write }) => {
        write(NEW)
        utimesSync(path, 1, 1)
      },
    ],
    [
      'written beside and renamed, as by sed -i',
      ({ path }) => {
        writeFileSync(`${path}.tmp`, NEW)
        renameSync(`${path}.tmp`, path)
      },
    ],
    [
      'written anew after the old ones were moved away, as by vim',
      ({ path, write }) => {
        renameSync(path, `${path}~`)
        write(NEW)
      },
    ],
    ['behind a link in the place of the file', (folder) => swapLink(folder, NEW)],
  ])('%s are in force within five seconds', async ([, change]) => {
    using folder = makeFolder(OLD)
    utimesSync(folder.path, 1, 1)
    using rules = startWith(folder)
    const replaced = vi.fn()
    rules.kept.onReplaced(replaced)
    change(folder)
    expect(rules.pass(BOUND_MS).at(-1)).toBe(IN_NEW)
    expect([rules.events(), rules.codes()]).toEqual([['rules_reloaded'], []])
    expect(await rules.reloads()).toEqual([1, 0])
    expect(replaced.mock.calls).toEqual([[rules.kept.current]])
  })

  test('behind a link that is swapped are in force at the next look, time and again', () => {
    using folder = makeFolder(OLD)
    swapLink(folder, OLD)
    using rules = startKeptRules(folder.path, clock)
    for (const [text, expected] of [
      [NEW, IN_NEW],
      [OLD, IN_OLD],
      [NEW, IN_NEW],
    ] as const) {
      swapLink(folder, text)
      expect(rules.pass(POLL_MS)).toEqual([expected])
    }
  })

  test('that changed while the service started are in force as well', () => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock, {}, () => folder.write(NEW))
    expect(rules.pass(BOUND_MS).at(-1)).toBe(IN_NEW)
  })

  test.for<[string, number]>([
    ['file', 1],
    ['file', 7],
    ['file', 40],
    ['link', 7],
    ['file behind a link', 7],
  ])(
    'never hold in part while they are written in the place of a %s by %d bytes',
    ([old, bytes]) => {
      using folder = makeFolder(OLD)
      if (old !== 'file') swapLink(folder, OLD)
      using rules = startWith(folder)
      const seen = new Set<string>()
      if (old === 'link') rmSync(folder.path)
      folder.write('')
      for (let end = 0; end < NEW.length + bytes; end += bytes) {
        folder.write(NEW.slice(0, end))
        for (const each of rules.pass(SETTLED_MS - POLL_MS)) seen.add(each)
      }
      for (const each of rules.pass(BOUND_MS)) seen.add(each)
      expect([[...seen], rules.events()]).toEqual([[IN_OLD, IN_NEW], ['rules_reloaded']])
    },
  )

  test('are taken as they are where a writer pauses for longer, which nobody can tell from an end', () => {
    using folder = makeFolder(OLD)
    using rules = startWith(folder)
    folder.write(WIDER)
    expect(rules.pass(BOUND_MS)).toEqual([IN_OLD, IN_NEW])
    expect(rules.kept.current.set.rules.at(-1)).not.toHaveProperty('allowed')
  })
})

describe('rules that have not changed', () => {
  test.for<[string, (folder: Folder, pass: (ms: number) => void) => void]>([
    ['left alone', () => undefined],
    ['written again', ({ write }) => write(OLD)],
    ['behind another link', (folder) => swapLink(folder, OLD)],
    [
      'away for a moment',
      ({ path, write }, pass) => {
        rmSync(path)
        pass(SETTLED_MS - POLL_MS)
        write(OLD)
      },
    ],
    [
      'changed and changed back',
      ({ write }, pass) => {
        write(WIDER)
        pass(SETTLED_MS - POLL_MS)
        write(OLD)
      },
    ],
  ])('%s are no news', async ([, act]) => {
    using folder = makeFolder(OLD)
    using rules = startWith(folder)
    const before = rules.kept.current
    act(folder, (ms) => void rules.pass(ms))
    expect(rules.pass(BOUND_MS)).toEqual([IN_OLD])
    expect([rules.events(), rules.codes(), await rules.reloads()]).toEqual([[], [], [0, 0]])
    expect(rules.kept.current).toBe(before)
  })

  test('replace nothing when they are read after the start, or again with another comment', () => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock)
    const replaced = vi.fn()
    rules.kept.onReplaced(replaced)
    const atStart = rules.kept.current
    rules.pass(BOUND_MS)
    const read = rules.kept.current
    folder.write(`${OLD} # checked today\n`)
    rules.pass(BOUND_MS)
    expect(new Set([atStart, read, rules.kept.current]).size).toBe(3)
    expect([replaced.mock.calls, rules.events()]).toEqual([[], []])
  })
})

test('a pipe, which can be read once only, is not watched', () => {
  using folder = makeFolder(OLD)
  using rules = startKeptRules(folder.path, clock, {}, () => {
    rmSync(folder.path)
    execFileSync('mkfifo', [folder.path])
  })
  expect(rules.pass(BOUND_MS)).toEqual([IN_OLD])
  expect([rules.events(), rules.codes()]).toEqual([[], []])
})

test('files are not looked at any more after the end', () => {
  using folder = makeFolder(OLD)
  using rules = startWith(folder)
  rules.kept.close()
  folder.write(NEW)
  expect(rules.pass(BOUND_MS)).toEqual([IN_OLD])
})
