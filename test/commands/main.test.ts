import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningProcess, startProcess } from '../../stand-ins/process.ts'
import { until } from '../support/own-lag.ts'
import { writeRules } from '../support/rules-file.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const SECRET = 'the-client-secret-nobody-prints'
const KEY = randomBytes(32).toString('base64')
const CONFIGURATION = {
  HOST: '127.0.0.1',
  PORT: '0',
  INTERNAL_PORT: '0',
  DRAIN_SECONDS: '0',
  PROTECTED_HOSTS: 'app.example.com,*.apps.example.com',
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'http://127.0.0.1:9',
  OIDC_CLIENT_ID: 'vestibule',
  OIDC_CLIENT_SECRET: SECRET,
  SESSION_ENCRYPTION_KEY: KEY,
}

const start = (args: readonly string[], changes: Readonly<Record<string, string>> = {}) =>
  startProcess(process.execPath, ['src/main.ts', ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...CONFIGURATION, ...changes },
  })

const run = async (...how: Parameters<typeof start>) => {
  const running = start(...how)
  const code = await running.exited
  return { code, lines: running.output().trimEnd().split('\n') }
}

describe.concurrent('the command line', () => {
  test('check-config prints every setting, and of secrets only that they are there', async ({
    expect,
  }) => {
    const team = { paths: ['/team'], allow: { groups: ['a'], networks: ['192.0.2.7'] } }
    await using rules = await writeRules(
      [
        { access: 'signed-in', degraded: 'deny' },
        { access: 'signed-in', name: 'team', policy: 'admins', report: true, ...team },
      ],
      { policies: { admins: { groups: ['admins'], none: [{ users: ['u1'] }] } } },
    )
    const { code, lines } = await run(['check-config'], {
      COOKIE_DOMAIN: 'example.com',
      ALLOW_ANY_USER: '',
      VESTIBULE_CONFIG: rules.path,
    })
    expect(code).toBe(0)
    expect(lines).toEqual(
      expect.arrayContaining([
        'PROTECTED_HOSTS=app.example.com,*.apps.example.com',
        'COOKIE_DOMAIN=example.com',
        'PUBLIC_URL=',
        'PASS_ACCESS_TOKEN=false',
        'SESSION_MAX_AGE=86400',
        'OIDC_CLIENT_SECRET=***',
        'SESSION_ENCRYPTION_KEY=***',
        '# admins: all (groups: admins; none (users: u1))',
        '# 1. signed-in · degraded: deny',
        '# 2. team: signed-in · paths: /team · allow: all (groups: a; networks: 192.0.2.7) · policy: admins · report: the next rule that matches decides',
      ]),
    )
    expect(lines.join('\n')).not.toContain(SECRET)
    expect(lines.join('\n')).not.toContain(KEY)
  })

  test('check-config says where values come from, what Redis comes to and what has no effect', async ({
    expect,
  }) => {
    await using file = await writeRules([], {
      allowedGroups: ['CN=Admins,OU=Groups'],
      redis: { enabled: true, db: 2, cacheMode: 'hybrid' },
    })
    const { code, lines } = await run(['check-config'], {
      ALLOW_ANY_USER: '',
      COOKIE_DOMIAN: SECRET,
      OIDC_CLIENT_SECRET: '',
      OIDC_CLIENT_SECRET_FILE: file.path,
      REDIS_ADDRESS: `cache.test,password=${SECRET},ssl=True,syncTimeout=900,name=portal,keepAlive=9`,
      REDIS_CACHE_MODE: 'redis',
      VESTIBULE_CONFIG: file.path,
    })
    const text = lines.join('\n')
    expect(code).toBe(0)
    for (const part of [
      /^# From the environment$[^#]*^REDIS_ADDRESS=\*\*\*$/m,
      `# From VESTIBULE_CONFIG, redis.db\nREDIS_DB=2\n`,
      `# From ${file.path}, which OIDC_CLIENT_SECRET_FILE names\nOIDC_CLIENT_SECRET=***\n`,
      `# From syncTimeout in the address of Redis\nREDIS_READ_TIMEOUT=0.9\n`,
      /^# By default$[^#]*^REDIS_CONNECT_TIMEOUT=5$/m,
      `# ALLOWED_GROUPS, one entry:\n#   "CN=Admins,OU=Groups"\n`,
      `# Redis, in redis mode:\n#   topology: one server\n#   address: cache.test:6380\n`,
      '#   TLS: yes, the certificate is verified\n#   database: 2\n',
      '#   user: the default user, with a password\n#   client name: portal\n',
      '#   time limits: connect 5000 ms, read 900 ms, write 900 ms, check 250 ms',
      '# Note: COOKIE_DOMIAN is not a setting and has no effect: is COOKIE_DOMAIN meant?',
      '# Note: redis.cacheMode of VESTIBULE_CONFIG has no effect: the environment gives REDIS_CACHE_MODE',
      '# Note: REDIS_ADDRESS: the option keepAlive has no effect',
    ]) {
      expect(text).toMatch(part)
    }
    expect(text).not.toContain(SECRET)
  })

  test.for(['check-config', ''])('%j tells a bad configuration', async (name, { expect }) => {
    const { code, lines } = await run(name ? [name] : [], { PORT: 'x', PROTECTED_HOSTS: '' })
    expect([code, lines.length]).toEqual([1, 3])
    expect(lines[0]).toBe('vestibule: the configuration cannot be used:')
    expect(lines[1]).toMatch(/^ {2}- PORT: is not a whole number\. /)
    expect(lines[2]).toMatch(/^ {2}- PROTECTED_HOSTS: is empty\. Name the hosts to protect/)
  })

  test.for(['--help', '-h', 'help'])('%j says what each command does', async (name, { expect }) => {
    const { code, lines } = await run([name])
    expect(code).toBe(0)
    for (const command of words`serve check-config healthcheck render explain sessions broadcast certificates`)
      expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^  ${command} +[a-z]`)))
  })

  test.for(['sevre', '__proto__'])('%j is no command; all are named', async (name, { expect }) => {
    const { code, lines } = await run([name])
    expect(code).toBe(2)
    expect(lines).toEqual([
      `vestibule: no command ${name}; the commands are serve, check-config, healthcheck, render, explain, doctor, migrate, sessions, broadcast, certificates`,
    ])
  })

  test.for(words`serve check-config healthcheck`)(
    '%s has no arguments',
    async (name, { expect }) => {
      const { code, lines } = await run([name, '--json'])
      const told = `vestibule: ${name} takes no arguments; it is configured by its environment`
      expect({ code, lines }).toEqual({ code: 2, lines: [told] })
    },
  )

  test('a SIGTERM that comes while the service is loaded ends it, and nothing is served', async ({
    expect,
  }) => {
    const asSoonAsCaught = `process.on('newListener', (name) => {
      if (name === 'SIGTERM') queueMicrotask(() => process.kill(process.pid, name))
    })`
    const url = `data:text/javascript,${encodeURIComponent(asSoonAsCaught)}`
    const { code, lines } = await run(['serve'], { NODE_OPTIONS: `--import ${url}` })
    expect(code).toBe(0)
    expect(lines.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual(['stopped'])
  })

  test('a port that is taken ends the start with one line', async ({ expect }) => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    const { code, lines } = await run(['serve'], { INTERNAL_PORT: String(port) }).finally(() =>
      taken.close(),
    )
    expect(code).toBe(1)
    const told = lines.filter((line) => line.startsWith('vestibule: '))
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(/EADDRINUSE.*: set INTERNAL_PORT to a port that is free$/)
    expect(lines.join('\n')).not.toMatch(/\n\s+at /)
  })

  const publicToAnyone = { ALLOW_ANY_USER: '', PUBLIC_PATHS: '/public/**' }
  const redis = { REDIS_ENABLED: 'true', REDIS_ADDRESS: '127.0.0.1:9' }
  const pooled = { ...redis, REDIS_POOL_SIZE: '10' }
  test.for<[string, Readonly<Record<string, string>>, string[]]>([
    ['a key that is made up', { SESSION_ENCRYPTION_KEY: '' }, ['SESSION_ENCRYPTION_KEY']],
    ['that nobody is named beside public paths', publicToAnyone, ['PUBLIC_PATHS']],
    ['an address that is not used', { REDIS_ADDRESS: '127.0.0.1:9' }, ['REDIS_ENABLED']],
    ['Sentinels that are not used', { REDIS_SENTINEL_ADDRESSES: '127.0.0.1:9' }, ['REDIS_ENABLED']],
    ['a pool of the usual size', pooled, ['REDIS_POOL_SIZE']],
  ])('%s is told at start', async ([, settings, expected], { expect }) => {
    await using vestibule = await startVestibule({ SESSION_ENCRYPTION_KEY: KEY, ...settings })
    const told = () => {
      const lines = vestibule.log().filter(({ event }) => /^(?:risk|setting_)/.test(String(event)))
      return lines.map(({ setting }) => setting)
    }
    await until('what is told', () => told().length > 0)
    expect(told()).toEqual(expected)
  })
})

describe('the service', () => {
  let running: RunningProcess
  beforeAll(() => {
    running = start([])
  })
  afterAll(() => running.stop('SIGKILL'))

  const entries = () =>
    running
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const untilLogged = async (event: string): Promise<Record<string, unknown>> => {
    const entry = () => entries().find((each) => each['event'] === event)
    await expect.poll(entry).toBeDefined()
    return entry() ?? {}
  }

  test('starts without its provider, answers, and goes when it is told to', async () => {
    const listening = await untilLogged('listening')
    const internal = `http://127.0.0.1:${String(listening['internal_port'])}`
    const open = `http://127.0.0.1:${String(listening['port'])}`
    const asked = [`${internal}/livez`, `${open}/healthz`, `${open}/auth`, `${internal}/auth`]
    const answers = await Promise.all(asked.map((url) => fetch(url)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 400])

    const ready = await run(['healthcheck'], { INTERNAL_PORT: String(listening['internal_port']) })
    expect(ready.code).toBe(0)

    expect(await running.stop('SIGTERM')).toBe(0)
    expect(entries().map(({ event }) => event)).toEqual(
      expect.arrayContaining(['listening', 'stopping', 'stopped']),
    )
    expect(running.output()).not.toContain(SECRET)
    expect(running.output()).not.toContain(KEY)
    expect(entries().every((entry) => typeof entry['message'] === 'string')).toBe(true)
  })
})
