import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { makeFolder, startKeptRules } from '../../support/kept-rules.ts'
import { useMonotonicClock } from '../../support/monotonic-clock.ts'

const RULES = 'rules:\n  - access: signed-in\n    groups: [old]\n'
const LONG_MS = 5000
const VALUE = 'value-that-nobody-prints'

const clock = useMonotonicClock('with intervals')

describe('settings beside the rules that change in the file', () => {
  test.for<[string, string, string, Readonly<Record<string, string>>, string[]]>([
    ['another value', 'logLevel: info', 'logLevel: debug', {}, ['logLevel']],
    [
      'a key in a section',
      'session: {maxAge: 600}',
      'session: {maxAge: 700}',
      {},
      ['session.maxAge'],
    ],
    ['a new key', '', `adminToken: ${VALUE}`, {}, ['adminToken']],
    ['a key that is gone', `adminToken: ${VALUE}`, '', {}, ['adminToken']],
    ['several', '', `adminToken: ${VALUE}\ncookie: {name: a}`, {}, ['cookie.name', 'adminToken']],
    ['the default written out', '', 'logLevel: info', {}, []],
    ['another spelling', 'session: {maxAge: 600}', 'session:\n  maxAge: "600"', {}, []],
    ['what the environment gives', '', 'logLevel: debug', { LOG_LEVEL: 'info' }, []],
    ['the file of a secret', '', 'adminTokenFile: FOLDER/a', {}, ['adminTokenFile']],
    [
      'another file',
      'adminTokenFile: FOLDER/a',
      'adminTokenFile: FOLDER/b',
      {},
      ['adminTokenFile'],
    ],
    ['public paths', '', 'publicPaths: [/open]', {}, []],
    ['who may enter', '', 'allowAnyUser: true', {}, []],
  ])('are found where a restart is needed: %s', ([, before, after, environment, keys]) => {
    using folder = makeFolder('')
    for (const name of ['a', 'b']) writeFileSync(`${folder.folder}/${name}`, VALUE)
    const write = (text: string, rules: string) =>
      folder.write(`${text.replace('FOLDER', folder.folder)}\n${rules}`)
    write(before, RULES)
    using rules = startKeptRules(folder.path, clock, environment)
    const accesses = rules.accesses()
    write(after, `${RULES}  - access: deny\n`)
    rules.pass(LONG_MS)
    write(after, `${RULES}  - access: deny\n  - access: deny\n`)
    rules.pass(LONG_MS)
    expect(rules.accesses()).not.toBe(accesses)
    expect(rules.logged('restart_needed').map((line) => line['keys'])).toEqual(
      keys.length > 0 ? [keys] : [],
    )
    const message = `changed in the settings file and read at the start only: ${keys.join(', ')}; restart this replica, or change them back`
    const found = keys.length > 0 ? [{ code: 'restart_needed', message }] : []
    expect(rules.kept.findings()).toEqual(found)
    expect(rules.output()).not.toContain(VALUE)
    write(before, RULES)
    rules.pass(LONG_MS)
    expect([rules.accesses(), rules.codes()]).toEqual([accesses, []])
  })

  test('are no news where a secret alone was renewed in its file', () => {
    using folder = makeFolder('')
    const secret = `${folder.folder}/secret`
    writeFileSync(secret, VALUE)
    folder.write(`adminTokenFile: ${secret}\n${RULES}`)
    using rules = startKeptRules(folder.path, clock)
    rules.pass(LONG_MS)
    writeFileSync(secret, `${VALUE}-2`)
    folder.write(`adminTokenFile: ${secret}\n${RULES}# changed\n`)
    rules.pass(LONG_MS)
    expect([rules.events(), rules.codes()]).toEqual([[], []])
  })

  test.for<[string, (path: string) => void]>([
    ['hold something else', (path) => writeFileSync(path, 'half')],
    ['are gone', (path) => rmSync(path)],
    ['were pipes that ended', (path) => execFileSync('sh', ['-c', 'rm $0; mkfifo $0', path])],
  ])('do not keep rules out where their files %s', ([, change]) => {
    using folder = makeFolder(RULES)
    const key = `${folder.folder}/key`
    writeFileSync(key, randomBytes(32).toString('base64'))
    using rules = startKeptRules(folder.path, clock, { SESSION_ENCRYPTION_KEY_FILE: key })
    change(key)
    folder.write(`${RULES}  - access: deny\n`)
    rules.pass(LONG_MS)
    expect([rules.accesses(), rules.codes()]).toEqual(['signed-in deny', []])
  })

  test('hold for rules only after the restart', () => {
    using folder = makeFolder(`oidc: {issuerUrl: https://old.example.com}\n${RULES}`)
    using rules = startKeptRules(folder.path, clock, { OIDC_ISSUER_URL: '' })
    const bearer = '    bearer: {audiences: [api]}\n'
    folder.write(`oidc: {issuerUrl: https://new.example.com}\n${RULES}${bearer}`)
    rules.pass(LONG_MS)
    expect([...rules.kept.current.set.issuers]).toEqual(['https://old.example.com'])
    expect(rules.codes()).toEqual(['restart_needed'])
  })
})

describe('lists in files of their own', () => {
  test.for<[string, (list: string) => [settings: string, environment: Record<string, string>]]>([
    ['the environment', (list) => ['', { ALLOWED_EMAILS_FILE: list }]],
    ['the settings file', (list) => [`allowedEmailsFile: ${list}\n`, {}]],
  ])('that %s names are read again', ([, place]) => {
    using folder = makeFolder('')
    const list = `${folder.folder}/emails`
    writeFileSync(list, 'ada@example.com\n')
    const [settings, environment] = place(list)
    folder.write(settings + RULES)
    using rules = startKeptRules(folder.path, clock, environment)
    rules.pass(LONG_MS)
    const before = rules.kept.current.set.fingerprint
    writeFileSync(list, 'ada@example.com\nbob@example.com\n')
    rules.pass(LONG_MS)
    expect(rules.kept.current.set.fingerprint).not.toBe(before)
    writeFileSync(list, '')
    rules.pass(LONG_MS)
    expect(rules.events()).toEqual(['rules_reloaded', 'rules_not_reloaded'])
  })

  test('are the only problem where without them nobody may enter', () => {
    using folder = makeFolder('')
    const list = `${folder.folder}/emails`
    writeFileSync(list, 'ada@example.com')
    folder.write(`allowedEmailsFile: ${list}\n`)
    using rules = startKeptRules(folder.path, clock)
    rmSync(list)
    rules.pass(LONG_MS)
    expect(rules.reasons()).toEqual([
      expect.stringMatching(/^VESTIBULE_CONFIG: allowedEmailsFile: .* cannot be read \(ENOENT\)/),
    ])
  })

  test('are waited for where they are named for the first time', () => {
    using folder = makeFolder(RULES)
    using rules = startKeptRules(folder.path, clock)
    rules.pass(LONG_MS)
    const list = `${folder.folder}/emails`
    folder.write(`allowedEmailsFile: ${list}\n${RULES}`)
    writeFileSync(list, 'ada@example.com,')
    rules.pass(2500)
    expect(rules.events()).toEqual([])
    writeFileSync(list, 'ada@example.com,bob@example.com')
    rules.pass(LONG_MS)
    expect(rules.events()).toEqual(['rules_reloaded'])
  })
})
