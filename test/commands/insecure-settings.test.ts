import { pino } from 'pino'
import { expect, test } from 'vitest'
import { warnOfRisks } from '../../src/commands/insecure-settings.ts'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { base, useSettingsFile } from '../support/configuration.ts'
import { words } from '../support/words.ts'

const { withFile } = useSettingsFile()
const SHORT = 'a'.repeat(31)

function risksOf(environment: Environment): string {
  let lines = ''
  const log = pino({}, { write: (line) => void (lines += line) })
  warnOfRisks(loadConfig(environment), log)
  return lines
}

test.for(words`ADMIN_TOKEN BROADCAST_TOKEN`)('%s below 32 characters is a risk', (setting) => {
  const withToken = (token: string) => risksOf({ ...base, [setting]: token })
  expect(withToken(SHORT)).toContain(`"event":"risk","setting":"${setting}"`)
  expect(withToken(SHORT)).not.toContain(SHORT)
  for (const token of ['', `${SHORT}b`]) expect(withToken(token)).not.toContain(setting)
})

test.for<[boolean, string]>([
  [true, 'rules: [{ access: public }]'],
  [true, 'rules: [{ access: public }, { access: signed-in, report: true }]'],
  [false, 'rules: [{ access: public }, { access: signed-in }]'],
  [false, 'rules: [{ access: optional }]'],
  [false, 'rules: [{ access: public }]\npolicies: { a: { groups: [x] } }'],
])('that no user is of any use is a risk %s: %s', async ([expected, yaml]) => {
  const risks = risksOf(await withFile(yaml, { ALLOW_ANY_USER: '' }))
  expect(risks.includes('no user is allowed to open anything that is not public')).toBe(expected)
})

test('a network of a condition in which only proxies are is a risk', async () => {
  const yaml = 'policies: { office: { networks: [10.1.0.0/16] } }'
  expect(risksOf(await withFile(yaml))).toMatch(
    /"event":"risk","setting":"TRUSTED_PROXIES","msg":"policy office: no client has an address in 10\.1\.0\.0\/16/,
  )
})
