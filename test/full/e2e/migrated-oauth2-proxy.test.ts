import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { OPTIONS } from '../../../src/migrate/oauth2-proxy/known-options.ts'
import { findProgram, freePort, startProcess } from '../../../stand-ins/process.ts'
import type { MigrationInput } from '../../support/migration.ts'
import { EXAMPLES, PEOPLE } from '../../support/migrations/oauth2-proxy.ts'
import { until } from '../../support/own-lag.ts'
import { startTestProvider } from '../../support/provider.ts'
import { startRedis } from '../../support/redis.ts'
import { createVisitor } from '../../support/visitor.ts'

const missing = findProgram('oauth2-proxy') ? '' : ' (skipped: oauth2-proxy is not on PATH)'
const HOST = 'app.example.com'
const AUTH = 'auth.example.com'

/** Providers with demands on tokens that the provider of the test does not meet; the rest is alike. */
const PARTICULAR = /(["=])(?:keycloak-oidc|entra-id)/g

/** Starts oauth2-proxy with the very input of a migration, at another address. */
async function startWith(input: MigrationInput) {
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
  const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': host }
  const connectTo = { [host]: `http://127.0.0.1:${port}` }
  const browser = createVisitor({ connectTo, headers })
  await browser.signIn(`https://${host}/oauth2/start?rd=/oauth2/userinfo`, sub)
  const { status } = await browser.get(`https://${host}/oauth2/auth`)
  return status === 202
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
    const proxy = stack.use(await startWith(input({ issuer, clientId, clientSecret, ...places })))
    const host = isOnRedis ? AUTH : HOST
    const passing: string[] = []
    for (const { sub } of PEOPLE) if (await lets(sub, host, proxy.port)) passing.push(sub)
    expect(passing).toEqual([...passes, ...stricter].toSorted())
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
