import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { makeFolder, startKeptRules } from '../../support/kept-rules.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'
import { defaultSettings } from '../../support/vestibule.ts'

const OLD = 'rules:\n  - access: signed-in\n    groups: [old]\n'
const NEW =
  'rules:\n  - access: deny\n    paths: [/admin/**]\n  - access: signed-in\n    groups: [new]\n'
const [IN_OLD, IN_NEW] = ['signed-in', 'deny signed-in']

/** Bound within which a change has to hold. */
const BOUND_MS = 5000
const WINDOW_MS = 2000
const POLL_MS = 250

const clock = useMonotonicClock('with intervals')

type Folder = ReturnType<typeof makeFolder>

const swapLink = ({ folder, path }: Folder, name: string, text: string) => {
  mkdirSync(`${folder}/${name}`)
  writeFileSync(`${folder}/${name}/rules.yaml`, text)
  symlinkSync(name, `${folder}/..new`)
  renameSync(`${folder}/..new`, `${folder}/..data`)
  rmSync(path, { force: true })
  symlinkSync('..data/rules.yaml', path)
}

describe('rules that change', () => {
  test.for<[string, (folder: Folder) => void]>([
    ['are written in place', ({ write }) => write(NEW)],
    [
      'are written in place with the time of the old ones',
      ({ path, write }) => {
        write(NEW)
        utimesSync(path, 1, 1)
      },
    ],
    [
      'are written beside and renamed, as by sed -i',
      ({ path }) => {
        writeFileSync(`${path}.tmp`, NEW)
        renameSync(`${path}.tmp`, path)
      },
    ],
    [
      'are written anew after the old ones were moved away, as by vim',
      ({ path, write }) => {
        renameSync(path, `${path}~`)
        write(NEW)
      },
    ],
    ['come through a link', (folder) => swapLink(folder, 'one', NEW)],
  ])('and %s are in force within five seconds', ([, change]) => {
    using folder = makeFolder(OLD)
    using rules = startKeptRules(folder.path, clock)
    rules.pass(WINDOW_MS)
    change(folder)
    expect(rules.pass(BOUND_MS).at(-1)).toBe(IN_NEW)
    expect(rules.events()).toEqual(['rules_reloaded'])
  })
})
