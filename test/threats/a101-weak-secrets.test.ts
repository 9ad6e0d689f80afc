import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
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

const random =
  (encoding: BufferEncoding) =>
  (bytes = 32) =>
    randomBytes(bytes).toString(encoding)
const [base64, base64url, hex] = [random('base64'), random('base64url'), random('hex')] as const

const weak: readonly (readonly [string, string])[] = [
  ['eight characters', 'hunter2!'],
  ['a placeholder', 'CHANGE_ME_PLEASE'],
  ['a sentence', 'correct horse battery staple, and a few more words'],
  ['31 bytes in hex', hex(31)],
  ['31 bytes in base64', base64(31)],
  ['hex of odd length', `${hex()}a`],
  ['hex of odd length, one digit short', hex(33).slice(1)],
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

test.for<[string, string]>([
  ['base64 without padding', base64().replaceAll('=', '')],
  ['hex in capitals', hex().toUpperCase()],
])('32 random bytes are taken: %s', ([, key]) =>
  expect(refusalOf({ SESSION_ENCRYPTION_KEY: key })).toBeUndefined(),
)

test.for(weak)('a weak key is refused, without its value: %s', ([, key]) => {
  const refusal = refusalOf({ SESSION_ENCRYPTION_KEY: key })
  expect(refusal).toContain('SESSION_ENCRYPTION_KEY')
  expect(refusal).toContain('openssl rand -base64 32')
  for (const part of key.split(',').filter((each) => each.length >= 8)) {
    expect(refusal).not.toContain(part)
    expect(refusal).not.toContain(part.slice(0, 8))
  }
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
