import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OPTIONS } from '../../../src/migrate/oauth2-proxy/known-options.ts'
import { startApp } from '../../../stand-ins/app.ts'
import { findProgram, freePort, startProcess } from '../../../stand-ins/process.ts'
import { FILE_ALONE, type MigrationInput, useMigration } from '../../support/migration.ts'
import { anyOauth2Proxy } from '../../support/migrations/any-oauth2-proxy.ts'
import { EXAMPLES, PEOPLE } from '../../support/migrations/oauth2-proxy.ts'
import { until } from '../../support/own-lag.ts'
import { startTestProvider } from '../../support/provider.ts'
import { startRedis } from '../../support/redis.ts'
import { startVestibule } from '../../support/vestibule.ts'
import { createVisitor } from '../../support/visitor.ts'
import { words } from '../../support/words.ts'

const { run } = useMigration('oauth2-proxy')
const NUMBER = Number(process.env['MIGRATION_RUNS'] ?? 40)

/** Files with addresses, some of which oauth2-proxy cannot read. */
const LISTS = [
  'dan@example.org\n',
  '# c\nIVY@example.net\n',
  '"dan@example.org",x\n',
  'dan@example.org\nivy@example.net,x\n',
  ' hal@example.com\n\n',
  'dan@example.org # hi\n',
  'da"n@example.org\nivy@example.net\n',
]

const missing = findProgram('oauth2-proxy') ? '' : ' (skipped: oauth2-proxy is not on PATH)'
const HOST = 'app.example.com'
const AUTH = 'auth.example.com'

/** Providers with demands on tokens that the provider of the test does not meet; the rest is alike. */
const PARTICULAR = /(["=])(?:keycloak-oidc|entra-id)/g

/** Starts oauth2-proxy with the very input of a migration, at another address. */
async function startOld(input: MigrationInput) {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-oauth2-proxy-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const port = await freePort()
  const placed = (text: string) =>
    text
      .replaceAll(/(?:0\.0\.0\.0|127\.0\.0\.1):4180/g, `127.0.0.1:${port}`)
      .replaceAll(PARTICULAR, '$1oidc')
  const file = async (flag: string, text: string | undefined) => {
    if (text === undefined) return []
    const path = join(folder, flag)
    await writeFile(path, placed(text))
    return [`--${flag}=${path}`]
  }
  const args = [
    ...(await file('config', input.config)),
    ...(await file('alpha-config', input.alpha)),
    ...(input.flags ?? []).map(placed),
  ]
  const address = { OAUTH2_PROXY_HTTP_ADDRESS: `127.0.0.1:${port}` }
  const running = startProcess('oauth2-proxy', args, {
    env: {
      ...parseEnv(placed(input.env ?? '')),
      ...address,
      PATH: process.env['PATH'] ?? '',
    },
  })
  stack.defer(async () => void (await running.stop('SIGKILL')))
  const isUp = async () => (await fetch(`http://127.0.0.1:${port}/ping`)).ok
  const isAnswering = () => running.child.exitCode !== null || isUp().catch(() => false)
  await until('oauth2-proxy', isAnswering)
  if (running.child.exitCode !== null) throw new Error(`it did not start:\n${running.output()}`)
  const resources = stack.move()
  return { port, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** Returns whether somebody may pass after signing in at this host. */
async function lets(sub: string, host: string, port: number): Promise<boolean> {
  const headers = {
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': host,
    'X-Forwarded-Uri': '/none',
  }
  const connectTo = { [host]: `http://127.0.0.1:${port}` }
  const browser = createVisitor({ connectTo, headers })
  await browser.signIn(`https://${host}/oauth2/start?rd=/oauth2/userinfo`, sub)
  const { status } = await browser.get(`https://${host}/oauth2/auth`)
  return status === 202
}

const TARGETS = words`/ /health /public/x /public /hook /x /a /A /b /abc /v1 /api/z /a/ /x.png /xpng /q?x=/public/ /p%20q /%61 /a%2fb /x%2epng`
const METHODS = words`GET POST PUT OPTIONS`
const PREFLIGHT = { Origin: 'https://other.example', 'Access-Control-Request-Method': 'GET' }

/** Returns the requests that pass without a sign-in: by the check, or to the app itself. */
async function openTargets(port: number, isProxy: boolean): Promise<readonly string[]> {
  const open: string[] = []
  for (const target of TARGETS) {
    for (const method of METHODS) {
      const headers = { ...PREFLIGHT, 'X-Forwarded-Uri': target, 'X-Forwarded-Method': method }
      const { status } = isProxy
        ? await createVisitor().request(method, `http://127.0.0.1:${port}`, {
            target,
            headers: PREFLIGHT,
          })
        : await createVisitor().get(`http://127.0.0.1:${port}/oauth2/auth`, { headers })
      if (![302, 401, 403].includes(status)) open.push(`${method} ${target}`)
    }
  }
  return open
}

describe.skipIf(missing)(`oauth2-proxy itself decides as the examples say${missing}`, () => {
  test.for(EXAMPLES)('$name', async ({ input, passes, stricter = [], isOnRedis }) => {
    await using stack = new AsyncDisposableStack()
    const origins = [`https://${HOST}`, `https://${AUTH}`]
    const provider = stack.use(await startTestProvider({ origins, users: PEOPLE }))
    const redisPassword = 'redis-Passw0rd'
    const redis = stack.use(await startRedis({ password: redisPassword }))
    const folder = await mkdtemp(join(tmpdir(), 'vestibule-emails-'))
    stack.defer(() => rm(folder, { recursive: true }))
    const emails = join(folder, 'emails')
    await writeFile(emails, '# partners\ndan@example.org\n')
    const { issuer, clientId, clientSecret } = provider
    const places = { redisPort: redis.port, redisPassword, emails, authHost: AUTH }
    const proxy = stack.use(await startOld(input({ issuer, clientId, clientSecret, ...places })))
    const host = isOnRedis ? AUTH : HOST
    const passing: string[] = []
    for (const { sub } of PEOPLE) if (await lets(sub, host, proxy.port)) passing.push(sub)
    expect(passing).toEqual([...passes, ...stricter].toSorted())
  })

  test('whoever it keeps out, the migrated one keeps out as well', async () => {
    await using stack = new AsyncDisposableStack()
    const users = [...PEOPLE, { sub: 'jon', email_verified: true, groups: ['staff', 'a,b'] }]
    const provider = stack.use(await startTestProvider({ origins: [`https://${HOST}`], users }))
    const app = stack.use(await startApp())
    const folder = await mkdtemp(join(tmpdir(), 'vestibule-emails-'))
    stack.defer(() => rm(folder, { recursive: true }))
    const emailFiles = LISTS.map((_, at) => join(folder, `${at}`))
    for (const [at, text] of LISTS.entries()) await writeFile(emailFiles[at] ?? '', text)
    const any = anyOauth2Proxy({ ...provider, appUrl: app.url, emailFiles })
    const seed = Number(process.env['MIGRATION_SEED'] ?? 17)
    const passed = { people: 0, targets: 0 }
    for (const input of fc.sample(any, { seed, numRuns: NUMBER })) {
      const { code, output, out, config } = await run(input)
      const isProxy = existsSync(join(out, 'traefik/apps.yaml'))
      await using old = await startOld(input)
      await using vestibule = await startVestibule({
        ...FILE_ALONE,
        VESTIBULE_CONFIG: `${out}/vestibule.yaml`,
      })
      const open = await openTargets(old.port, isProxy)
      for (const target of TARGETS) {
        for (const method of METHODS) {
          const { status } = await vestibule.check({ uri: target, method }, PREFLIGHT)
          if (status !== 200) continue
          passed.targets += 1
          expect(open, JSON.stringify([input, config()])).toContain(`${method} ${target}`)
        }
      }
      for (const { sub } of users) {
        const { status } = await vestibule.check(
          { uri: '/none' },
          { Cookie: await vestibule.signIn(sub, HOST) },
        )
        if (status !== 200) continue
        passed.people += 1
        expect(await lets(sub, HOST, old.port), JSON.stringify([sub, input, config()])).toBe(true)
      }
      expect([code, output]).not.toEqual([0, expect.stringContaining('cannot be used yet')])
      await rm(out, { recursive: true })
    }
    // Most configurations let somebody in, so that the test compares more than refusals.
    expect(passed.people).toBeGreaterThan(NUMBER / 2)
    expect(passed.targets).toBeGreaterThan(NUMBER / 2)
  })

  test('it has the options that are known here, and no others', async () => {
    const running = startProcess('oauth2-proxy', ['--help'])
    await until('its help', () => running.child.exitCode !== null)
    const named = [...running.output().matchAll(/^\s+(?:-\w, )?--([\w.-]+)/gm)].map(
      ([, name = '']) => name,
    )
    const beside = new Set([
      'alpha-config',
      'config',
      'config-test',
      'convert-config-to-alpha',
      'help',
      'version',
    ])
    expect(named.filter((name) => !beside.has(name)).toSorted()).toEqual(
      [...OPTIONS.keys()].toSorted(),
    )
  })
})
