import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { isReadFromFile } from '../../src/config/settings/settings.ts'
import { fileKeyOf } from '../../src/config/sources/file-keys.ts'
import { base, confidential, problemsOf, useFolder } from '../support/configuration.ts'
import { readSetting, SAMPLES } from '../support/setting-samples.ts'

const { write } = useFolder()
const AROUND: readonly (readonly [string, string])[] = [
  ['', '\n'],
  [' ', '\r\n'],
  ['\uFEFF', '\r\n\r\n'],
  ['\t\n ', ' \t'],
  ['\u00A0', '\u2028'],
]

test.for(SAMPLES)(
  '%s=%s means the same with blanks and line ends around it',
  async ([name, value]) => {
    expect(readSetting({ [name]: value }, name)).toBe(value)
    for (const [before, after] of AROUND) {
      const text = `${before}${value}${after}`
      expect(readSetting({ [name]: text }, name)).toBe(value)
      const [section, key] = fileKeyOf(name).split('.') as [string, string?]
      const content = { [section]: key === undefined ? text : { [key]: text } }
      const file = await write(`\uFEFF${stringify(content)}`)
      expect(readSetting({ VESTIBULE_CONFIG: `${file}\n` }, name)).toBe(value)
      if (!isReadFromFile(name)) continue
      expect(readSetting({ [`${name}_FILE`]: ` ${await write(text)}\n` }, name)).toBe(value)
    }
  },
)

test('a value of blanks only is as none, in the environment and in the settings file', async () => {
  const names = SAMPLES.map(([name]) => name)
  const blank = Object.fromEntries(names.map((name) => [name, ' \r\n\t']))
  const file = await write('redis: { address: "  ", password: "\\n", db: }\noidc: { scopes: " " }')
  const { readAgain: _, ...expected } = loadConfig(base)
  expect(loadConfig({ ...blank, ...base })).toMatchObject(expected)
  const { settings } = loadConfig({ ...base, VESTIBULE_CONFIG: file })
  expect(settings).toEqual({ ...loadConfig(base).settings, VESTIBULE_CONFIG: file })
})

const SHARED = {
  ...confidential,
  REDIS_ENABLED: 'true',
  SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
}

test.for([
  ['redis :6380 , password = a=b , ssl = True \r\n', 'redis:6380,password=a=b,ssl=True'],
  ['\uFEFFredis,password=secret\n', 'redis,password=secret'],
  [' redis://app : secret\n@ redis : 6379 / 2 \n', 'redis://app:secret@redis:6379/2'],
  ['redis://:secret\r\n@redis', 'redis://:secret@redis'],
] as const)('the Redis address %j means %j', ([messy, clean]) => {
  const { redis } = loadConfig({ ...SHARED, REDIS_ADDRESS: clean })
  expect(loadConfig({ ...SHARED, REDIS_ADDRESS: messy }).redis).toEqual(redis)
})

test.for([
  ['ALLOWED_GROUPS', ' a ,\r\n b\r\n', ['a', 'b']],
  ['ALLOWED_GROUPS', ' [ " a " ,\r\n "b, c" ] \n', ['a', 'b, c']],
  ['PROTECTED_HOSTS', 'a.test\rb.test\uFEFF', ['a.test', 'b.test']],
] as const)('blanks around the entries of %s=%j do not count', ([name, text, entries]) => {
  const { settings } = loadConfig({
    ...base,
    ALLOW_ANY_USER: '',
    ALLOWED_EMAILS: 'a@b.test',
    [name]: text,
  })
  expect(settings[name]).toEqual(entries)
})

test('blanks around the names in rules do not count', async () => {
  const rule = { access: 'signed-in', paths: [' /a\n'], methods: ['GET '], groups: ['staff\n'] }
  const [messy, clean] = await Promise.all(
    [rule, { ...rule, paths: ['/a'], methods: ['GET'], groups: ['staff'] }].map((each) =>
      write(stringify({ rules: [each] })),
    ),
  )
  const rulesIn = (path = '') =>
    JSON.stringify(loadConfig({ ...base, VESTIBULE_CONFIG: path }).rules, sets)
  expect(rulesIn(messy)).toBe(rulesIn(clean))
})

function sets(_key: string, value: unknown): unknown {
  return value instanceof Set ? [...value] : value
}

test('keys made with echo on any system are the same keys', async () => {
  const key = randomBytes(32)
  const file = await write(`\uFEFF${key.toString('base64')}\r\n\r\n${key.toString('hex')}\r\n`)
  const { keys } = loadConfig({ ...base, SESSION_ENCRYPTION_KEY_FILE: file })
  expect(keys).toEqual([key, key])
})

test('a file that is no UTF-8 text, or too large, is named and not quoted', async () => {
  const utf16 = await write(Buffer.from('\uFEFFhunter2', 'utf16le'))
  for (const [path, fault] of [
    [utf16, 'is not UTF-8 text: save it as UTF-8'],
    ['/dev/zero', 'is larger than 1048576 bytes'],
  ]) {
    const told = ['OIDC_CLIENT_SECRET_FILE', 'VESTIBULE_CONFIG'].flatMap((name) =>
      problemsOf({ ...base, [name]: path }),
    )
    expect(told).toEqual([
      `OIDC_CLIENT_SECRET_FILE: ${path} ${fault}`,
      `VESTIBULE_CONFIG: ${path} ${fault}`,
    ])
  }
})
