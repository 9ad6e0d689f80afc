import { randomBytes } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { startApp } from '../../../stand-ins/app.ts'
import { findProgram, startProcess } from '../../../stand-ins/process.ts'
import { startGatewayProgram } from '../../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { useFolder } from '../../support/configuration.ts'
import { runDoctor } from '../../support/doctor-installation.ts'
import { makeTlsFiles } from '../../support/internal-tls.ts'
import { until } from '../../support/own-lag.ts'
import { startTestProvider } from '../../support/provider.ts'
import { startRedis } from '../../support/redis.ts'
import { startVestibule } from '../../support/vestibule.ts'

const { write } = useFolder()
const COMPOSE = 'deploy/compose'
const HOST = 'whoami.apps.localhost'

/** Reads the settings of the file that docker-compose.yml names. */
function composeSettings(): Record<string, string> {
  const lines = readFileSync(`${COMPOSE}/vestibule.env`, 'utf8').split('\n')
  return Object.fromEntries(
    lines
      .filter((line) => /^[A-Z]/.test(line))
      .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
  )
}

/** Faults that a real Traefik shows from outside, planted in the files as they run; those that are given stay as they are. */
const PLANTED: readonly (readonly [codes: readonly string[], plant: (text: string) => string])[] = [
  [[], (text) => text],
  [
    ['forwarded_headers'],
    (text) =>
      text
        .replace(/( +)http:\n/, '$1forwardedHeaders: { insecure: true }\n$&')
        .replace(/^( +)X-Forwarded-(?:Host|Method|Uri): ""\n/gm, ''),
  ],
  [['alias_headers'], (text) => text.replaceAll('Strategy: delete', 'Strategy: keep')],
  [['app_unguarded'], (text) => text.replace('middlewares: [protected]', '')],
  [['base_path_guarded'], (text) => text.replace('priority: 100000', 'priority: 1')],
  [
    ['base_path_guarded'],
    (text) => text.replace('priority: 100000', '$&\n      middlewares: [protected]'),
  ],
  [['check_unreachable'], (text) => text.replace(/localhost:\d+\/auth/, 'localhost:9/auth')],
  [
    ['check_unreachable'],
    (text) => text.replace(/^ +ca: .*$/m, '          insecureSkipVerify: false'),
  ],
  [
    ['answer_replaced'],
    (text) => text.replace('maxResponseBodySize: 16384', 'maxResponseBodySize: 16'),
  ],
  [
    ['headers_hidden'],
    (text) =>
      text.replace('trustForwardHeader:', 'authRequestHeaders: [Authorization]\n        $&'),
  ],
  [
    ['path_changed'],
    (text) =>
      text
        .replace('middlewares: [protected]', 'middlewares: [longer, protected]')
        .replace('    vestibule-strip:', '    longer: { addPrefix: { prefix: /x } }\n$&'),
  ],
  [
    ['base_path_stripped'],
    (text) =>
      text
        .replace('priority: 100000', '$&\n      middlewares: [strip]')
        .replace(
          '  middlewares:\n    vestibule-strip:',
          '  middlewares:\n    strip: { stripPrefix: { prefixes: [/oauth2] } }\n    vestibule-strip:',
        ),
  ],
]

test.for(PLANTED)('compose with real Traefik: %s', async ([codes, planted], { skip }) => {
  skip(!findProgram('traefik'), 'traefik is not on PATH')
  await using stack = new AsyncDisposableStack()
  using tls = await makeTlsFiles()
  const ports = codes.length === 0 ? [await steadyPort(), await steadyPort()] : [await steadyPort()]
  const hosts = ports.map((port) => `http://${HOST}:${port}`)
  const password = randomBytes(8).toString('hex')
  const redis = stack.use(await startRedis({ password }))
  const provider = stack.use(await startTestProvider({ origins: hosts }))
  const settings: Record<string, string> = {
    ...composeSettings(),
    ...tls.settings,
    PROTECTED_HOSTS: hosts.join(','),
    OIDC_ISSUER_URL: provider.issuer,
    OIDC_CLIENT_ID: provider.clientId,
    OIDC_CLIENT_SECRET_FILE: await write(provider.clientSecret),
    SESSION_ENCRYPTION_KEY_FILE: await write(randomBytes(32).toString('base64')),
    REDIS_ADDRESS: `127.0.0.1:${redis.port}`,
    REDIS_PASSWORD_FILE: await write(password),
    HOST: '127.0.0.1',
  }
  const vestibule = stack.use(
    await startVestibule({ ...settings, OIDC_CLIENT_SECRET: '', ALLOW_ANY_USER: '' }),
  )
  const app = stack.use(await startApp())
  /** Puts addresses of this machine into a configuration, and the older name of an option, which every version here has. */
  const here = (text: string) =>
    text
      .replace('https://vestibule:4181', `https://localhost:${vestibule.internalPort}`)
      .replace('http://vestibule:4180', `http://127.0.0.1:${vestibule.publicPort}`)
      .replace('http://whoami:8080', app.url)
      .replace('/etc/traefik/vestibule-tls/ca.crt', tls.caFile)
      .replaceAll('aliasHeadersStrategy', 'underscoreHeadersStrategy')
  for (const port of ports) {
    const unused = { vestibulePublicUrl: '', vestibuleCheckUrl: '', authResponseHeaders: [] }
    const options = { port, hosts: [HOST], appUrl: app.url, ...unused }
    stack.use(
      await startGatewayProgram('traefik', options, async (folder, _, readyHost) => {
        const directory = join(folder, 'dynamic')
        await mkdir(directory)
        for (const file of globSync(`${COMPOSE}/dynamic/*`))
          await writeFile(
            join(directory, basename(file)),
            planted(here(await readFile(file, 'utf8'))),
          )
        const ready = `{rule: 'Host(\`${readyHost}\`)', service: ping@internal, priority: 9999}`
        await writeFile(join(directory, 'ready.yaml'), `http: {routers: {ready: ${ready}}}\n`)
        const text = planted(here(await readFile(`${COMPOSE}/traefik.yaml`, 'utf8')))
          .replace(':8080', `127.0.0.1:${port}`)
          .replace(':8082', '127.0.0.1:0')
          .replace('ping: {}', 'ping: {manualRouting: true}')
          .replace('/etc/traefik/dynamic', directory)
        await writeFile(join(folder, 'traefik.yaml'), text)
        return [`--configFile=${join(folder, 'traefik.yaml')}`]
      }),
    )
  }
  const given = [`${COMPOSE}/traefik.yaml`, `${COMPOSE}/dynamic`]
  const environment = { ...settings, INTERNAL_PORT: `${vestibule.internalPort}` }
  const { code, findings, output } = await runDoctor(
    environment,
    ...given.map((path) => `--traefik-config=${path}`),
  )
  expect(
    findings.map((each) => each.code),
    output,
  ).toEqual(codes)
  expect(code).toBe(codes.length === 0 ? 0 : 1)
})

test('nothing is wrong with the demo', async ({ skip }) => {
  skip(process.platform !== 'linux', 'the environment of a process is read from /proc')
  const demo = startProcess(process.execPath, ['demo/main.ts'], {
    env: { PATH: process.env['PATH'] ?? '' },
  })
  try {
    await until('the demo is ready', () => demo.output().includes('Ctrl-C ends everything.'))
    const [, internal = ''] = /operators +(\S+)\/health/.exec(demo.output()) ?? []
    const environment = {
      ...environmentOfService(demo.child.pid ?? 0),
      INTERNAL_PORT: new URL(internal).port,
    }
    const { code, findings } = await runDoctor(environment)
    expect(findings).toEqual([])
    expect(code).toBe(0)
  } finally {
    await demo.stop()
  }
})

/** Reads the settings of the service that the demo has started, which nobody else has. */
function environmentOfService(parent: number): Record<string, string> {
  for (const place of globSync('/proc/[0-9]*/status')) {
    try {
      const folder = place.replace('/status', '')
      if (!readFileSync(place, 'utf8').includes(`\nPPid:\t${parent}\n`)) continue
      if (!readFileSync(`${folder}/cmdline`, 'utf8').includes('src/main.ts\0serve')) continue
      const entries = readFileSync(`${folder}/environ`, 'utf8')
        .split('\0')
        .filter((each) => each.includes('='))
      return Object.fromEntries(
        entries.map((each) => each.split(/=(.*)/s).slice(0, 2) as [string, string]),
      )
    } catch {
      // The process has ended meanwhile.
    }
  }
  throw new Error('the demo has started no service')
}
