import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { useSettingsFile } from '../support/configuration.ts'

const { rulesOf } = useSettingsFile()

describe('the fingerprint', () => {
  const FILE = `policies: { a: { groups: [x, y], users: [u] }, b: { users: [u] } }
rules: [{ access: signed-in, policy: a, paths: [/x] }, { access: deny }]`
  const fingerprintOf = async (yaml: string, changes?: Environment) =>
    (await rulesOf(yaml, changes)).fingerprint

  test.for<[string, string]>([
    ['comments', FILE.replace('\n', ' # for all\n')],
    ['the order of keys', FILE.replace('groups: [x, y], users: [u]', 'users: [u], groups: [x, y]')],
    [
      'the order of policies',
      FILE.replace('policies: { a', 'policies: { b: { users: [u] }, a').replace(
        ', b: { users: [u] } }\n',
        ' }\n',
      ),
    ],
    ['quotes', FILE.replace('[x, y]', '["x", \'y\']')],
  ])('does not depend on %s', async ([, changed]) => {
    expect(changed).not.toBe(FILE)
    expect(await fingerprintOf(changed)).toBe(await fingerprintOf(FILE))
  })

  test.for<[string, string, Environment?]>([
    ['a policy that no rule names', FILE.replace('b: { users: [u]', 'b: { users: [v]')],
    ['the name of a policy', FILE.replace('b: {', 'c: {')],
    [
      'the order of rules',
      FILE.replace(', { access: deny }]', ']').replace(
        '[{ access: s',
        '[{ access: deny }, { access: s',
      ),
    ],
    ['what becomes a report', FILE.replace('access: deny', 'access: deny, report: true')],
    ['PUBLIC_PATHS', FILE, { PUBLIC_PATHS: '/open' }],
    ['ALLOWED_EMAIL_DOMAINS', FILE, { ALLOW_ANY_USER: '', ALLOWED_EMAIL_DOMAINS: 'a.example' }],
    ['ALLOWED_GROUPS', FILE, { ALLOW_ANY_USER: '', ALLOWED_GROUPS: 'a' }],
  ])('depends on %s', async ([, changed, changes]) => {
    expect(await fingerprintOf(changed, changes)).not.toBe(await fingerprintOf(FILE))
  })
})
