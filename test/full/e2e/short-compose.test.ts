import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { startApp } from '../../../stand-ins/app.ts'
import { findProgram } from '../../../stand-ins/process.ts'
import { startGatewayProgram } from '../../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { prepared } from '../../support/prepared.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import { startRelyingParty } from '../../support/relying-party.ts'
import { filledIn, serviceOf, shortCompose } from '../../support/short-compose.ts'
import { createVisitor } from '../../support/visitor.ts'

const HOST = filledIn.PROTECTED_HOSTS
const missing = findProgram('traefik') ? undefined : 'traefik is not on PATH'
const { services, configs } = shortCompose(['compose.yml'])

/** Runs the script of the service `setup` on this machine, with its folder and file elsewhere. */
async function setUp(folder: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const command = join(folder, 'vestibule')
  await writeFile(
    command,
    `#!/bin/sh\nexec "${process.execPath}" "${resolve('src/main.ts')}" "$@"\n`,
  )
  await chmod(command, 0o755)
  await mkdir(join(folder, 'dynamic'))
  await writeFile(join(folder, 'app.yaml'), configs['app.yaml']?.content ?? '')
  const { entrypoint = [], command: script = [] } = serviceOf(services, 'setup')
  const [shell = '', ...args] = [...entrypoint, ...script]
  const here = args.map((arg) =>
    arg
      .replaceAll('/dynamic', join(folder, 'dynamic'))
      .replaceAll('/app.yaml', `${folder}/app.yaml`),
  )
  const env = { ...settings, PATH: `${folder}:${process.env['PATH'] ?? ''}` }
  execFileSync(shell, here, { env, stdio: 'pipe' })
}

/** The arguments of Traefik as they are, but for addresses, folders and an option that is newer than some versions here. */
function argumentsHere(folder: string, port: number, webPort: number): readonly string[] {
  const { command = [] } = serviceOf(services, 'traefik')
  const changes: readonly (readonly [string, string])[] = [
    ['web.address=:80', `web.address=127.0.0.1:${webPort}`],
    ['websecure.address=:443', `websecure.address=127.0.0.1:${port}`],
    ['=/acme/', `=${folder}/`],
    ['=/dynamic', `=${folder}/dynamic`],
    ['aliasHeadersStrategy', 'underscoreHeadersStrategy'],
  ]
  const changed = command.map((each) =>
    changes.reduce((text, [from, to]) => text.replace(from, to), each),
  )
  // An authority that cannot be reached, as for a name that is not public: Traefik serves a certificate of its own.
  const authority = '--certificatesResolvers.public.acme.caServer=http://127.0.0.1:9/'
  return [...changed, authority, '--ping.manualRouting=true', '--global.checkNewVersion=false']
}

async function startShort() {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-short-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const { PROTECTED_HOSTS, ALLOWED_EMAIL_DOMAINS } = filledIn
  const own = { PROTECTED_HOSTS, ALLOWED_EMAIL_DOMAINS, ALLOW_ANY_USER: 'false' }
  const party = stack.use(await startRelyingParty(own))
  const app = stack.use(await startApp())
  await setUp(folder, { ...filledIn, OIDC_ISSUER_URL: party.provider.issuer })
  const dynamic = (name: string) => join(folder, 'dynamic', name)
  const { internalPort, publicPort } = party.vestibule
  for (const name of ['vestibule.yaml', 'app.yaml']) {
    const text = (await readFile(dynamic(name), 'utf8'))
      .replace('http://vestibule:4181', `http://127.0.0.1:${internalPort}`)
      .replace('http://vestibule:4180', `http://127.0.0.1:${publicPort}`)
      .replace('http://app:80', app.url)
    await writeFile(dynamic(name), text)
  }
  const webPort = await steadyPort()
  const unused = { vestibulePublicUrl: '', vestibuleCheckUrl: '', authResponseHeaders: [] }
  const options = { ...unused, port: await steadyPort(), hosts: [HOST], appUrl: app.url }
  const gateway = await startGatewayProgram(
    'traefik',
    { ...options, scheme: 'https' },
    async (_own, port, readyHost) => {
      const ready = { rule: `Host(\`${readyHost}\`)`, service: 'ping@internal', priority: 999_999 }
      await writeFile(dynamic('ready.yaml'), stringify({ http: { routers: { ready } } }))
      return argumentsHere(folder, port, webPort)
    },
  )
  stack.defer(gateway.close)
  const resources = stack.move()
  const connectTo = { [HOST]: gateway.origin }
  return {
    vestibule: party.vestibule,
    webPort,
    visitor: () => createVisitor({ connectTo }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

describe('the short compose.yml, as Traefik and Vestibule of this machine understand it', () => {
  const started = prepared(async () => (missing ? undefined : startShort()))
  const compose = () => started() as Awaited<ReturnType<typeof startShort>>
  beforeEach(({ skip }) => skip(missing !== undefined, missing))

  test('a person signs in, and the app hears of nobody else', async () => {
    const browser = compose().visitor()
    const landed = await browser.signIn(`https://${HOST}/headers`, 'bob')
    expect(landed.url).toBe(`https://${HOST}/headers`)
    const forged = {
      'X-Auth-Request-User': 'root',
      X_Auth_Request_User: 'root',
      'X-Auth-Request-Access-Token': 'forged',
      'X-Forwarded-User': 'root',
      'X-Original-Url': '/public',
    }
    const visit = await browser.get(`https://${HOST}/headers`, { headers: forged })
    const given = givenToApp(visit).headers.filter(([, value]) => /root|forged|public/.test(value))
    expect(given).toEqual([])
    expect(givenToApp(visit).headers).toContainEqual(['X-Auth-Request-User', 'bob'])
  })

  test('a stranger is asked to sign in, and a program is told where', async () => {
    const page = await compose().visitor().get(`https://${HOST}/`)
    expect([page.status, page.location]).toEqual([
      302,
      `https://${HOST}/oauth2/login?rd=${encodeURIComponent(`https://${HOST}/`)}`,
    ])
    const { status, body } = await compose().visitor().fetch(`https://${HOST}/`)
    expect(status).toBe(401)
    expect(JSON.parse(body)).toHaveProperty('login_url')
  })

  test('plain http leads to https', async () => {
    const { status, location } = await createVisitor({
      connectTo: { [HOST]: `http://127.0.0.1:${compose().webPort}` },
    }).get(`http://${HOST}/a`)
    expect([301, 308]).toContain(status)
    expect(location).toMatch(/^https:\/\/app\.example\.com(?::\d+)?\/a$/)
  })
})
