import { pino } from 'pino'
import { expect, test } from 'vitest'
import { warnOfRisks } from '../../src/commands/insecure-settings.ts'
import { loadConfig } from '../../src/config/load.ts'
import { base } from '../support/configuration.ts'
import { words } from '../support/words.ts'

const SHORT = 'a'.repeat(31)

test.for(words`ADMIN_TOKEN BROADCAST_TOKEN`)('%s below 32 characters is a risk', (setting) => {
  const risksOf = (token: string): string => {
    let lines = ''
    const log = pino({}, { write: (line) => void (lines += line) })
    warnOfRisks(loadConfig({ ...base, [setting]: token }), log)
    return lines
  }
  expect(risksOf(SHORT)).toContain(`"event":"risk","setting":"${setting}"`)
  expect(risksOf(SHORT)).not.toContain(SHORT)
  for (const token of ['', `${SHORT}b`]) expect(risksOf(token)).not.toContain(setting)
})
