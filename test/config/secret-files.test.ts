import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { CLIENT_SECRET, base as minimum, problemsOf, useFolder } from '../support/configuration.ts'

const SECRET = CLIENT_SECRET
const base = { ...minimum, OIDC_CLIENT_SECRET: CLIENT_SECRET } as const
const { pathOf, write } = useFolder()
function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

describe('secrets from files', () => {
  const key = randomBytes(32)

  test('a file holds the secret, its last line end aside', async () => {
    const path = await write(`${SECRET}\n`)
    const { settings } = loadConfig({
      ...base,
      OIDC_CLIENT_SECRET: undefined,
      OIDC_CLIENT_SECRET_FILE: path,
    })
    expect(settings.OIDC_CLIENT_SECRET).toBe(SECRET)
  })

  test('so it does for the token of operators, which has no default', async () => {
    const path = await write(`${SECRET}\n`)
    const { settings } = loadConfig({ ...base, ADMIN_TOKEN_FILE: path })
    expect(settings.ADMIN_TOKEN).toBe(SECRET)
    expect(loadConfig({ ...base, ADMIN_TOKEN: '' }).settings.ADMIN_TOKEN).toBeUndefined()
    const [problem] = problemsWith({ ADMIN_TOKEN: 'the-other-secret', ADMIN_TOKEN_FILE: path })
    expect(problem).toContain('ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set')
    expect(problem).not.toContain('the-other-secret')
  })

  test('a key file is remembered, to be read again', async () => {
    const path = await write(`${key.toString('base64')}\n${randomBytes(32).toString('hex')}\n`)
    const config = loadConfig({ ...base, SESSION_ENCRYPTION_KEY_FILE: path })
    expect(config.keyFile).toBe(path)
    expect(config.keys).toHaveLength(2)
    expect(config.keys?.[0]?.equals(key)).toBe(true)
  })

  test('a key that is given by itself is not looked for in a file', () => {
    const config = loadConfig({ ...base, SESSION_ENCRYPTION_KEY: key.toString('hex') })
    expect(config.keyFile).toBeUndefined()
    expect(config.keys?.[0]?.equals(key)).toBe(true)
  })

  test('both at once is a problem that shows neither', async () => {
    const path = await write('the-other-secret')
    const [problem, ...others] = problemsWith({ OIDC_CLIENT_SECRET_FILE: path })
    expect(others).toEqual([])
    expect(problem).toContain('OIDC_CLIENT_SECRET and OIDC_CLIENT_SECRET_FILE are both set')
    expect(problem).not.toContain('the-other-secret')
    expect(problem).not.toContain(SECRET)
  })

  test('a file that is not there or holds nothing is named', async () => {
    const missing = problemsWith({ SESSION_ENCRYPTION_KEY_FILE: pathOf('nowhere') })
    expect(missing).toHaveLength(1)
    expect(missing[0]).toMatch(/^SESSION_ENCRYPTION_KEY_FILE: .*nowhere cannot be read \(ENOENT\)/)
    const path = await write(' \n')
    const empty = problemsWith({ OIDC_CLIENT_SECRET: '', OIDC_CLIENT_SECRET_FILE: path })
    expect(empty).toEqual([`OIDC_CLIENT_SECRET_FILE: ${path} is empty`])
  })

  test('a bad key in a file is told by its position alone', async () => {
    const path = await write(`${key.toString('base64')},weak-key-material`)
    const problems = problemsWith({ SESSION_ENCRYPTION_KEY_FILE: path })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('SESSION_ENCRYPTION_KEY: key 2')
    expect(problems[0]).not.toContain('weak-key')
  })

  test('only secrets come from files', async () => {
    const path = await write('5000')
    expect(loadConfig({ ...base, PORT_FILE: path }).settings.PORT).toBe(4180)
  })
})
