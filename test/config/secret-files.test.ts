import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import {
  confidential as base,
  base as minimum,
  problemsWith,
  CLIENT_SECRET as SECRET,
  useFolder,
} from '../support/configuration.ts'

const { pathOf, write } = useFolder()
const key = randomBytes(32)

test('a file holds the secret, its last line end aside', async () => {
  const path = await write(`${SECRET}\n`)
  const { settings } = loadConfig({ ...minimum, OIDC_CLIENT_SECRET_FILE: path })
  expect(settings.OIDC_CLIENT_SECRET).toBe(SECRET)
})

test('the token of operators, which has no default, is read from a file too', async () => {
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
  const { keyFile, keys } = loadConfig({ ...base, SESSION_ENCRYPTION_KEY_FILE: path })
  expect([keyFile, keys?.length, keys?.[0]?.equals(key)]).toEqual([path, 2, true])
})

test('a key that is given by itself is not looked for in a file', () => {
  const { keyFile, keys } = loadConfig({ ...base, SESSION_ENCRYPTION_KEY: key.toString('hex') })
  expect([keyFile, keys?.[0]?.equals(key)]).toEqual([undefined, true])
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
  expect(problemsWith({ SESSION_ENCRYPTION_KEY_FILE: pathOf('nowhere') })).toEqual([
    expect.stringMatching(/^SESSION_ENCRYPTION_KEY_FILE: .*nowhere cannot be read \(ENOENT\)/),
  ])
  const path = await write(' \n')
  const empty = problemsWith({ OIDC_CLIENT_SECRET: '', OIDC_CLIENT_SECRET_FILE: path })
  expect(empty).toEqual([`OIDC_CLIENT_SECRET_FILE: ${path} is empty`])
})

test.for([
  'a-secret-in-the-place-of-a-path',
  '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----',
  '/secret\nwith two lines',
  `secret${'0'.repeat(300)}`,
])('%j in the place of a path is not shown', (value) => {
  const both = { INTERNAL_TLS_CERT_FILE: pathOf('nowhere'), INTERNAL_TLS_KEY_FILE: value }
  for (const settings of [both, { SESSION_ENCRYPTION_KEY_FILE: value }]) {
    const problem = problemsWith(settings).at(-1)
    expect(problem).toMatch(/_KEY_FILE: the file that it names cannot be read .*absolute path/)
    expect(problem).not.toContain('secret')
  }
})

test('a bad key in a file is told by its position alone', async () => {
  const path = await write(`${key.toString('base64')},weak-key-material`)
  const problems = problemsWith({ SESSION_ENCRYPTION_KEY_FILE: path })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain('SESSION_ENCRYPTION_KEY: key 2')
  expect(problems[0]).not.toContain('weak-key')
})

test('only secrets come from files', async () => {
  expect(loadConfig({ ...base, PORT_FILE: await write('5000') }).settings.PORT).toBe(4180)
})
