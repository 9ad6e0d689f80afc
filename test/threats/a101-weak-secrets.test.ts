import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { startProcess } from '../../stand-ins/process.ts'

const base = {
  HOST: '127.0.0.1',
  PORT: '0',
  INTERNAL_PORT: '0',
  PROTECTED_HOSTS: 'app.example.com',
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'http://127.0.0.1:9',
  OIDC_CLIENT_ID: 'vestibule',
  OIDC_CLIENT_SECRET: 'the-client-secret-nobody-prints',
}

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vestibule-a101-'))
})

afterAll(() => rm(folder, { recursive: true }))

/** The message of a start that is refused; nothing when the configuration is taken. */
function refusalOf(settings: Readonly<Record<string, string>>): string | undefined {
  try {
    loadConfig({ ...base, ...settings })
    return undefined
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
}

async function run(command: string, settings: Readonly<Record<string, string>>) {
  const running = startProcess(process.execPath, ['src/main.ts', command], {
    env: { PATH: process.env['PATH'] ?? '', ...base, ...settings },
  })

  return { code: await running.exited, output: running.output() }
}

function base64(bytes = 32) {
  return randomBytes(bytes).toString('base64')
}

function base64url(bytes = 32) {
  return randomBytes(bytes).toString('base64url')
}

function hex(bytes = 32) {
  return randomBytes(bytes).toString('hex')
}

const weak: readonly (readonly [string, string])[] = [
  ['eight characters', 'hunter2!'],
  ['eight letters', 'changeme'],
  ['a placeholder', 'CHANGE_ME_PLEASE'],
  ['a sentence', 'correct horse battery staple, and a few more words'],
  ['16 bytes in hex', hex(16)],
  ['31 bytes in hex', hex(31)],
  ['31 bytes in base64', base64(31)],
  ['24 bytes in base64url', base64url(24)],
  ['hex of odd length', `${hex()}a`],
  ['hex of odd length, one digit short', hex(33).slice(1)],
  ['64 times the same digit', '0'.repeat(64)],
  ['one byte over and over', 'ab'.repeat(32)],
  ['a word over and over', 'changeme'.repeat(6)],
  ['base64 of zeros', Buffer.alloc(32).toString('base64')],
  ['base64 with a foreign character', `${base64().slice(0, -2)}!=`],
  ['base64 with a blank inside', `${base64url().slice(0, 20)} ${base64url()}`],
  ['base64 with padding inside', `${base64(16)}${base64(16)}`],
  ['quotes that an env file keeps', `"${base64()}"`],
  ['a weak key behind a good one', `${base64()},${base64(8)}`],
  ['a weak key before a good one', `secret-secret,${base64()}`],
  ['commas alone', ',,,'],
]

describe('A101 weak or shared secrets', () => {
  test.for<[string, string]>([
    ['base64', base64()],
    ['base64 without padding', base64().replaceAll('=', '')],
    ['base64url', base64url()],
    ['hex', hex()],
    ['hex in capitals', hex().toUpperCase()],
    ['48 bytes', base64(48)],
    ['two keys', `${base64()},${hex()}`],
    ['keys on lines', `${base64()}\n${base64url()}\n`],
  ])('32 random bytes are taken: %s', ([, key], { expect }) => {
    expect(refusalOf({ SESSION_ENCRYPTION_KEY: key })).toBeUndefined()
  })

  test.for(weak)('a weak key is refused, without its value: %s', ([, key], { expect }) => {
    const refusal = refusalOf({ SESSION_ENCRYPTION_KEY: key })
    expect(refusal).toContain('SESSION_ENCRYPTION_KEY')
    expect(refusal).toContain('openssl rand -base64 32')
    for (const part of key.split(',').filter((each) => each.length >= 8)) {
      expect(refusal).not.toContain(part)
      expect(refusal).not.toContain(part.slice(0, 8))
    }
  })

  test.for(weak)('a key file is held to the same: %s', async ([name, key], { expect }) => {
    const path = join(folder, name.replaceAll(/[^a-z0-9]/g, '-'))
    await writeFile(path, `${key}\n`)
    const refusal = refusalOf({ SESSION_ENCRYPTION_KEY_FILE: path })
    expect(refusal).toContain('SESSION_ENCRYPTION_KEY')
    expect(refusal).not.toContain(key)
  })

  test.for<[string, string | undefined]>([
    ['an empty file', ''],
    ['a file of blanks', ' \n\t\n'],
    ['no file', undefined],
  ])('a key file without a key is refused: %s', async ([name, text], { expect }) => {
    const path = join(folder, name.replaceAll(' ', '-'))
    if (text !== undefined) await writeFile(path, text)
    const refusal = refusalOf({ SESSION_ENCRYPTION_KEY_FILE: path })
    expect(refusal).toContain('SESSION_ENCRYPTION_KEY_FILE')
  })

  test('a key beside a key file is refused, with neither value', async () => {
    const [one, two] = [base64(), base64()]
    const path = join(folder, 'both')
    await writeFile(path, two)
    const refusal = refusalOf({ SESSION_ENCRYPTION_KEY: one, SESSION_ENCRYPTION_KEY_FILE: path })
    expect(refusal).toContain('both set')
    expect(refusal).not.toContain(one)
    expect(refusal).not.toContain(two)
  })

  test.for(['serve', 'check-config'])('vestibule %s fails and hides the key', async (command) => {
    const { code, output } = await run(command, { SESSION_ENCRYPTION_KEY: 'a-short-secret' })
    expect(code).toBe(1)
    expect(output).toContain('SESSION_ENCRYPTION_KEY: key 1')
    expect(output).not.toContain('a-short-secret')
    expect(output).not.toContain('listening')
    expect(output).not.toMatch(/\n\s+at /)
  })

  test('check-config prints a good configuration without any secret in it', async () => {
    const key = base64()
    const { code, output } = await run('check-config', { SESSION_ENCRYPTION_KEY: key })
    expect(code).toBe(0)
    expect(output).toContain('SESSION_ENCRYPTION_KEY=***')
    expect(output).toContain('OIDC_CLIENT_SECRET=***')
    expect(output).not.toContain(key)
    expect(output).not.toContain(base.OIDC_CLIENT_SECRET)
  })

  test('a refused setting elsewhere does not bring secrets into the message', () => {
    const key = base64()
    const refusal = refusalOf({ SESSION_ENCRYPTION_KEY: key, PROTECTED_HOSTS: '', PORT: 'x' })
    expect(refusal).toContain('PROTECTED_HOSTS')
    expect(refusal).not.toContain(key)
    expect(refusal).not.toContain(base.OIDC_CLIENT_SECRET)
  })

  test('one key serves every purpose with a key of its own', () => {
    const key = randomBytes(32)
    const ring = createKeyRing([key])
    const context = { purpose: 'session', name: 'a', realm: 'r', secret: 's' }
    const sealed = ring.seal(Buffer.from('text'), context)
    expect(ring.open(sealed, context)?.toString()).toBe('text')
    for (const other of [
      { purpose: 'login-state' },
      { name: 'b' },
      { realm: 'other' },
      { secret: 't' },
      { secret: '' },
    ]) {
      expect(ring.open(sealed, { ...context, ...other })).toBeUndefined()
    }
    const derived = ['logout-confirm', 'session', 'login-state'].map((purpose) =>
      ring.derive(purpose).toString('hex'),
    )
    expect(new Set([...derived, key.toString('hex')]).size).toBe(4)
    expect(sealed.includes(key.subarray(0, 8))).toBe(false)
  })
})
