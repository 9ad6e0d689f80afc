import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { certificates } from '../../../src/commands/certificates/certificates.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { traefikFile } from '../../../src/render/traefik.ts'
import { startApp } from '../../../stand-ins/app.ts'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { findProgram } from '../../../stand-ins/process.ts'
import { startGatewayProgram } from '../../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { runCommand } from '../../support/command.ts'
import { base } from '../../support/configuration.ts'
import { runDoctor } from '../../support/doctor-installation.ts'
import { prepared } from '../../support/prepared.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import { type RelyingParty, startRelyingParty } from '../../support/relying-party.ts'
import { filledIn, serviceOf, shortCompose } from '../../support/short-compose.ts'
import { createVisitor } from '../../support/visitor.ts'

const HOST = 'app.example.com'
const DEPLOYED = 'deploy/traefik'
const missing = findProgram('traefik') ? undefined : 'traefik is not on PATH'

type Yaml = Record<string, Record<string, unknown>>

interface Place {
  readonly folder: string
  readonly port: number
  readonly readyHost: string
  /** Puts addresses of this machine into a configuration. */
  readonly here: (text: string) => string
  /** Output of `render traefik` for the running service; empty without TLS. */
  readonly rendered: string
}

/** The one example of a page that has this key at its top or below `http`. */
function example(page: string, key: string): Yaml {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```yaml\n(.*?)```/gs)]
  const found = blocks
    .map(([, text = '']) => parse(text) as Yaml)
    .filter((block) => key in block || key in (block['http'] ?? {}))
  expect(found, `${page}: ${key}`).toHaveLength(1)
  return found[0] as Yaml
}

const routing = example('README.md', 'routers')
const entryPoints = example('docs/traefik.md', 'entryPoints')
const behindProxy = example('docs/traefik.md', 'forwardedHeaders')
const clearing = example('docs/traefik.md', 'middlewares')

function readyRouter(readyHost: string) {
  return { rule: `Host(\`${readyHost}\`)`, service: 'ping@internal', priority: 9999 }
}

/** Writes the configuration of the pages, with what they say about another proxy before Traefik. */
function documented(isBehindProxy: boolean) {
  return async ({ folder, port, readyHost, here }: Place): Promise<string> => {
    const filename = join(folder, 'dynamic.yml')
    const { http } = structuredClone(routing) as { http: Yaml }
    const routers = http['routers'] as Yaml
    routers['ready'] = readyRouter(readyHost)
    if (isBehindProxy) {
      Object.assign(http['middlewares'] ?? {}, clearing['http']?.['middlewares'])
      routers['app'] = { ...routers['app'], middlewares: ['clear-forwarded', 'vestibule'] }
    }
    await writeFile(filename, here(stringify({ http })))
    const { websecure = {} } = (entryPoints as { entryPoints: Yaml }).entryPoints
    const address = `127.0.0.1:${port}`
    const text = stringify({
      global: { checkNewVersion: false, sendAnonymousUsage: false },
      entryPoints: { websecure: { ...websecure, address, ...(isBehindProxy && behindProxy) } },
      ping: { manualRouting: true },
      providers: { file: { filename } },
    })
    // Only in later versions than some that people run.
    return text.replace(/^ +aliasHeadersStrategy:.*\n/gm, '').replace('192.0.2.10', '127.0.0.1')
  }
}

/** Writes the files as they are, with a log of their own and a trusted proxy that lets all through. */
async function deployed({ folder, port, readyHost, here, rendered }: Place): Promise<string> {
  const directory = join(folder, 'dynamic')
  await mkdir(directory)
  for (const name of ['vestibule.yaml', 'apps.yaml']) {
    await copyFile(join(DEPLOYED, 'dynamic', name), join(directory, name))
    await writeFile(join(directory, name), here(await readFile(join(directory, name), 'utf8')))
  }
  if (rendered !== '') await writeFile(join(directory, 'vestibule.yaml'), here(rendered))
  const ready = stringify({ http: { routers: { ready: readyRouter(readyHost) } } })
  await writeFile(join(directory, 'ready.yaml'), ready)
  // The older name, which every version here understands.
  const text = (await readFile(`${DEPLOYED}/traefik.yaml`, 'utf8')).replaceAll(
    'aliasHeadersStrategy',
    'underscoreHeadersStrategy',
  )
  const file = parse(text) as { entryPoints: Yaml; accessLog: object }
  const addresses = { web: await steadyPort(), websecure: port, traefik: await steadyPort() }
  for (const [name, number] of Object.entries(addresses)) {
    Object.assign(file.entryPoints[name] ?? {}, { address: `127.0.0.1:${number}` })
  }
  const trusted = { forwardedHeaders: { trustedIPs: ['127.0.0.1'] } }
  Object.assign(file.entryPoints['websecure'] ?? {}, trusted)
  return stringify({
    ...file,
    log: { level: 'WARN', format: 'json', filePath: join(folder, 'traefik.log') },
    accessLog: { ...file.accessLog, filePath: join(folder, 'access.log') },
    providers: { file: { directory } },
  })
}

/** Runs the script of the service `setup` with its folder elsewhere, and gives Traefik its arguments as a file. */
async function short({ folder, port, readyHost, here }: Place): Promise<string> {
  const { services, configs } = shortCompose(['compose.yml'])
  const directory = join(folder, 'dynamic')
  await mkdir(directory)
  const command = `#!/bin/sh\nexec "${process.execPath}" "${resolve('src/main.ts')}" "$@"\n`
  await writeFile(join(folder, 'vestibule'), command, { mode: 0o755 })
  await writeFile(join(folder, 'app.yaml'), configs['app.yaml']?.content ?? '')
  const { entrypoint = [], command: script = [] } = serviceOf(services, 'setup')
  const [shell = '', ...args] = [...entrypoint, ...script].map((each) =>
    each.replaceAll(/\/(?=dynamic\b|app\.yaml)/g, `${folder}/`),
  )
  const env = { ...filledIn, PATH: `${folder}:${process.env['PATH'] ?? ''}` }
  execFileSync(shell, args, { env, stdio: 'pipe' })
  for (const name of ['vestibule.yaml', 'app.yaml'])
    await writeFile(join(directory, name), here(await readFile(join(directory, name), 'utf8')))
  const ready = stringify({ http: { routers: { ready: readyRouter(readyHost) } } })
  await writeFile(join(directory, 'ready.yaml'), ready)
  const own = join(folder, 'own')
  const made = await runCommand(() => certificates({}, own, `--name=${HOST}`))
  expect(made).toMatchObject({ code: 0 })
  const defaultCertificate = { certFile: join(own, 'tls.crt'), keyFile: join(own, 'tls.key') }
  const tls = { stores: { default: { defaultCertificate } } }
  await writeFile(join(directory, 'tls.yaml'), stringify({ tls }))
  const changes = {
    'web.address': `127.0.0.1:${await steadyPort()}`,
    'websecure.address': `127.0.0.1:${port}`,
    'acme.storage': join(folder, 'acme.json'),
    // An authority that cannot be reached, as for a name that is not public. The certificate below stands in for its.
    'acme.tlsChallenge': 'true\n--certificatesResolvers.public.acme.caServer=http://127.0.0.1:9/',
    directory,
  }
  const given = (serviceOf(services, 'traefik').command ?? []).join('\n')
  const changed = Object.entries(changes).reduce(
    (text, [option, value]) => text.replace(new RegExp(`(\\.${option})=.*`), `$1=${value}`),
    given.replace('aliasHeadersStrategy', 'underscoreHeadersStrategy'),
  )
  return stringify(nested(`${changed}\n--ping.manualRouting=true`))
}

/** Options as arguments, `--a.b=value`, as the file that means the same. */
function nested(lines: string): object {
  const root: Record<string, unknown> = {}
  for (const [, path = '', value] of lines.matchAll(/^--([^=]+)=(.*)$/gm)) {
    const names = path.split('.')
    const last = names.pop() ?? ''
    const at = names.reduce((node, name) => (node[name] ??= {}) as typeof root, root)
    at[last] = value
  }
  return root
}

/** Makes certificates with the command, for the service and for Traefik. Returns the settings, and Traefik's folder. */
async function makeCertificates(folder: string) {
  const own = join(folder, 'own')
  const traefik = join(folder, 'traefik')
  const made = await runCommand(async () => {
    const codes = [await certificates({}, own), await certificates({}, own, '--client=traefik')]
    return Math.max(...codes)
  })
  expect(made).toMatchObject({ code: 0 })
  await mkdir(traefik)
  await copyFile(join(own, 'ca.crt'), join(traefik, 'ca.crt'))
  for (const end of ['crt', 'key'])
    await copyFile(join(own, `traefik.${end}`), join(traefik, `tls.${end}`))
  const settings = {
    INTERNAL_TLS_CERT_FILE: join(own, 'tls.crt'),
    INTERNAL_TLS_KEY_FILE: join(own, 'tls.key'),
    INTERNAL_TLS_CLIENT_CA_FILE: join(own, 'ca.crt'),
  }
  return { settings, traefik }
}

async function startConfigured(configure: (place: Place) => Promise<string>, isTls: boolean) {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-tls-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const tls = isTls ? await makeCertificates(folder) : undefined
  const settings = { PROTECTED_HOSTS: HOST, PUBLIC_PATHS: '/public/**', ...tls?.settings }
  const config = loadConfig({ ...base, ...settings })
  const rendered = tls ? traefikFile(config, 'vestibule', tls.traefik) : ''
  const party: RelyingParty = stack.use(await startRelyingParty(settings))
  const { internalPort, publicPort } = party.vestibule
  const wire = stack.use(await startTcpProxy(internalPort))
  const { url: appUrl, ...app } = await startApp()
  stack.defer(app.close)
  const here = (text: string) =>
    text
      .replace('://vestibule:4181', `://localhost:${wire.port}`)
      .replace('http://vestibule:4180', `http://127.0.0.1:${publicPort}`)
      .replace(/http:\/\/app:80(?:80)?\b/, appUrl)
  let configured = ''
  const unused = { vestibulePublicUrl: '', vestibuleCheckUrl: '', authResponseHeaders: [] }
  const gateway = await startGatewayProgram(
    'traefik',
    { port: await steadyPort(), hosts: [HOST], scheme: 'https', appUrl, ...unused },
    async (folder, port, readyHost) => {
      configured = folder
      const file = join(folder, 'static.yml')
      await writeFile(file, await configure({ folder, port, readyHost, here, rendered }))
      return [`--configFile=${file}`]
    },
  )
  stack.defer(gateway.close)
  const resources = stack.move()
  return {
    log: join(configured, 'traefik.log'),
    connections: wire.accepted,
    visitor: () => createVisitor({ connectTo: { [HOST]: gateway.origin } }),
    /** Resolves with the findings of the doctor, which asks this Traefik. */
    examined: async () => {
      const { issuer, clientId, clientSecret } = party.provider
      const environment = {
        ...base,
        ...settings,
        OIDC_ISSUER_URL: issuer,
        OIDC_CLIENT_ID: clientId,
        OIDC_CLIENT_SECRET: clientSecret,
        HOST: '127.0.0.1',
        INTERNAL_PORT: String(internalPort),
      }
      const { host } = new URL(gateway.origin)
      const authority = join(configured, 'own', 'ca.crt')
      return (await runDoctor(environment, '--connect', host, '--ca', authority)).findings
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

const forged = {
  'X-Forwarded-Uri': '/public/a',
  'X-Forwarded-Method': 'OPTIONS',
  'X-Forwarded-Host': 'evil.example',
  'X-Original-Url': '/public/a',
  Forwarded: 'host=evil.example',
  'X-Auth-Request-User': 'root',
  'X-Auth-Request-Groups': 'admins',
  'X-Auth-Request-Access-Token': 'forged',
}
const PROXIED = { 'X-Forwarded-Proto': 'https' }

const DEPLOYED_HEADERS = { ...PROXIED, X_Auth_Request_User: 'root' }

describe.for([
  ['the pages', documented(false), {}],
  ['the pages, behind a proxy', documented(true), PROXIED],
  ['deploy/traefik, behind a proxy', deployed, DEPLOYED_HEADERS],
  ['deploy/docker/compose.yml', short, { X_Auth_Request_User: 'root' }],
  ['deploy/traefik, over TLS as rendered', deployed, DEPLOYED_HEADERS, true],
] as const)('Traefik configured as %s', ([, configure, proxied, isTls = false]) => {
  const started = prepared(async () => (missing ? undefined : startConfigured(configure, isTls)))
  const traefik = () => started() as Awaited<ReturnType<typeof startConfigured>>
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  const headers = { ...forged, ...proxied }

  test('a person signs in, and the app hears of nobody else', async () => {
    const browser = traefik().visitor()
    const landed = await browser.signIn(`https://${HOST}/headers`, 'alice')
    expect(landed.url).toBe(`https://${HOST}/headers`)
    const visit = await browser.get(`https://${HOST}/headers`, { headers })
    const given = Object.groupBy(givenToApp(visit).headers, ([name]) => name.toLowerCase())
    const valuesOf = (name: string) => given[name.toLowerCase()]?.map(([, value]) => value)
    expect(valuesOf('X-Auth-Request-User')).toEqual(['alice'])
    expect(valuesOf('X-Auth-Request-Groups')).toEqual(['staff,admins'])
    expect(valuesOf('X-Auth-Request-Access-Token')).toBeUndefined()
    expect(valuesOf('Cookie')).toBeUndefined()
    if (configure !== deployed && configure !== short) return
    for (const name of [...Object.keys(forged), 'X_Auth_Request_User'].filter(
      (each) => !/-(?:User|Groups)$/.test(each),
    ))
      expect(valuesOf(name), name).toBeUndefined()
  })

  test('a stranger is asked to sign in for what they really asked for', async () => {
    const { status, location } = await traefik()
      .visitor()
      .get(`https://${HOST}/secret`, { headers })
    const rd = encodeURIComponent(`https://${HOST}/secret`)
    expect([status, location]).toEqual([302, `https://${HOST}/oauth2/login?rd=${rd}`])
  })

  // The others have no certificate of an authority.
  if (configure === short)
    test('the doctor finds nothing', async () => {
      expect(await traefik().examined()).toEqual([])
    })

  test('all checks of a router share one connection where they are asked over TLS', async ({
    skip,
  }) => {
    skip(!isTls, 'the plain client of Traefik opens many')
    const visitor = traefik().visitor()
    const pages = Array.from({ length: 40 }, (_, at) => `https://${HOST}/public/${at}`)
    const answers = await Promise.all(pages.map((url) => visitor.get(url)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(traefik().connections()).toBe(1)
  })

  test('Traefik complains about nothing', async ({ skip }) => {
    skip(configure !== deployed, 'only deploy/traefik has a log')
    // The one is said at every start, the other because of the older name above.
    const always = /encoded characters in the request path|underscoreHeadersStrategy/
    const lines = (await readFile(traefik().log, 'utf8')).split('\n')
    expect(lines.filter((line) => line !== '' && !always.test(line))).toEqual([])
  })
})
