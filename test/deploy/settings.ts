import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { parseEnv } from 'node:util'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'

const SECRETS: Readonly<Record<string, string>> = {
  'session-key': randomBytes(32).toString('base64'),
  'client-secret': 'secret',
  'redis-password': 'password',
  'redis-ca.pem': rootCertificates[0] ?? '',
  'redis-url': 'rediss://user:password@redis.example.com:6379',
}

/**
 * Seconds that a stop may take beside `DRAIN_SECONDS`: 10 for answers, 10 for refreshes, 2 for the last writes to
 * Redis.
 */
export const LAST_SECONDS = 22

export const SECRET_NAMES: readonly string[] = Object.keys(SECRETS)

export const readSettings = (path: string): Readonly<Record<string, string>> =>
  parseEnv(readFileSync(path, 'utf8')) as Record<string, string>

/** Files of secrets, which the settings name; those of the internal listener's TLS are no secrets of an installation. */
export const fileSettings = (settings: Readonly<Record<string, string>>) =>
  Object.entries(settings).filter(
    ([name]) => name.endsWith('_FILE') && !name.startsWith('INTERNAL_TLS_'),
  )

/** Through the product's own loader, with secrets of this test in the place of those that the settings name. */
export const loadSettings = (settings: Readonly<Record<string, string>>): Config => {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-deploy-'))
  for (const [name, text] of Object.entries(SECRETS)) writeFileSync(join(folder, name), text)
  const here = fileSettings(settings).map(([name, path]) => [name, join(folder, basename(path))])
  const others = Object.entries(settings).filter(([name]) => !name.startsWith('INTERNAL_TLS_'))
  try {
    return loadConfig(Object.fromEntries([...others, ...here]) as Record<string, string>)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
