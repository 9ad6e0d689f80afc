import { readFileSync } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { kubernetesManifests } from '../../src/render/kubernetes.ts'
import { traefikFile } from '../../src/render/traefik.ts'
import { type RunningApp, startApp } from '../../stand-ins/app.ts'
import { findProgram, startProcess } from '../../stand-ins/process.ts'
import { type RunningGateway, startGatewayProgram } from '../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { givenToApp } from '../support/proxied-browser.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { readSettings } from './settings.ts'

const FOLDER = 'deploy/traefik'
const settings = readSettings(`${FOLDER}/vestibule.env`)

interface Dynamic {
  readonly http: {
    readonly middlewares: {
      readonly vestibule: { readonly forwardAuth: Record<string, unknown> }
      readonly 'vestibule-strip': { headers: { customRequestHeaders: Record<string, string> } }
    }
    readonly routers: { readonly vestibule: { readonly rule: string; readonly priority: number } }
    readonly services: Record<string, { loadBalancer: { servers: { url: string }[] } }>
  }
}

const renderedFor = (changes: Readonly<Record<string, string>>, host = 'vestibule'): Dynamic =>
  parse(traefikFile(loadConfig({ ...settings, ...changes }), host)) as Dynamic

const command = async (args: readonly string[], env: Readonly<Record<string, string>>) => {
  const running = startProcess(process.execPath, ['src/main.ts', 'render', ...args], { env })
  return { code: await running.exited, output: running.output() }
}

describe('render traefik', () => {
  test('prints the committed file for its settings', async () => {
    const { code, output } = await command(['traefik'], settings)
    const [, ...committed] = readFileSync(`${FOLDER}/dynamic/vestibule.yaml`, 'utf8').split('\n')
    expect(code).toBe(0)
    expect(output).toBe(committed.join('\n'))
  })

  test('prints custom resources with --kubernetes', async () => {
    const { code, output } = await command(['traefik', '--kubernetes'], settings)
    const manifests = kubernetesManifests(
      loadConfig(settings),
      'vestibule.vestibule.svc.cluster.local.',
    )
    expect(code).toBe(0)
    expect(output).toBe(`${manifests.middlewares}---\n${manifests.signIn}`)
  })

  test.for([[], ['nginx'], ['traefik', '--kubernets'], ['traefik', 'again']])(
    'says how it is used when it is not: %j',
    async (args) => {
      const { code, output } = await command(args, settings)
      expect(code).toBe(2)
      expect(output).toMatch(/^usage: vestibule render traefik /)
    },
  )

  test('ends with what is wrong with a configuration that cannot be used', async () => {
    const { code, output } = await command(['traefik'], { ...settings, PROTECTED_HOSTS: '' })
    expect(code).toBe(1)
    expect(output).toContain('PROTECTED_HOSTS: is empty')
  })

  test('lists and strips the headers that this configuration gives', () => {
    const { middlewares } = renderedFor({ IDENTITY_HEADERS: 'Remote-User=sub' }).http
    expect(middlewares.vestibule.forwardAuth['authResponseHeaders']).toContain('Remote-User')
    expect(middlewares['vestibule-strip'].headers.customRequestHeaders).toHaveProperty(
      'Remote-User',
      '',
    )
  })

  test.for([['false'], ['true']])(
    'takes Authorization from clients only with PASS_AUTHORIZATION: %s',
    ([value = '']) => {
      const { middlewares } = renderedFor({ PASS_AUTHORIZATION: value }).http
      const listed = middlewares.vestibule.forwardAuth['authResponseHeaders'] as string[]
      expect(listed.includes('Authorization')).toBe(value === 'true')
      // A bearer must reach the check.
      const { customRequestHeaders } = middlewares['vestibule-strip'].headers
      expect(customRequestHeaders).not.toHaveProperty('Authorization')
      expect(customRequestHeaders).not.toHaveProperty('Cookie')
    },
  )

  test('routes the sign-in of every host, PUBLIC_URL and wildcards among them', () => {
    const { rule } = renderedFor({
      PUBLIC_URL: 'https://auth.example.com',
      PROTECTED_HOSTS: 'app.example.com:8443,*.apps.example.com,app.example.com',
      COOKIE_DOMAIN: 'example.com',
      BASE_PATH: '/account',
    }).http.routers.vestibule
    expect(rule).toBe(
      '(Host(`auth.example.com`) || Host(`app.example.com`) || HostRegexp(`^.+\\.apps\\.example\\.com$`)) && PathPrefix(`/account/`)',
    )
  })

  test('names the cookies, the ports and the host of this configuration', () => {
    const { http } = renderedFor(
      { COOKIE_NAME: 'door', PORT: '8000', INTERNAL_PORT: '8001' },
      'door.example',
    )
    expect(http.middlewares.vestibule.forwardAuth).toMatchObject({
      address: 'http://door.example:8001/auth',
      addAuthCookiesToResponse: ['door_outage', '__Host-door_outage', '__Secure-door_outage'],
    })
    expect(http.services['vestibule']?.loadBalancer.servers).toEqual([
      { url: 'http://door.example:8000' },
    ])
  })
})

const HOST = 'app.example.com'
const missing = findProgram('traefik') ? undefined : 'traefik is not on PATH'

describe('the real Traefik with the files of deploy/traefik, behind a proxy that lets all through', () => {
  let party: RelyingParty
  let app: RunningApp
  let gateway: RunningGateway
  let logFile: string

  /** The files as they are, with addresses of this machine, a log of its own and a trusted proxy. */
  const staticFile = async (folder: string, port: number): Promise<string> => {
    const file = parse(
      // The older name, which every version here understands.
      (await readFile(`${FOLDER}/traefik.yaml`, 'utf8')).replaceAll(
        'aliasHeadersStrategy',
        'underscoreHeadersStrategy',
      ),
    ) as { entryPoints: Record<string, Record<string, unknown>>; [key: string]: unknown }
    const addresses = {
      web: await steadyPort(),
      websecure: port,
      traefik: await steadyPort(),
    }
    for (const [name, number] of Object.entries(addresses)) {
      Object.assign(file.entryPoints[name] ?? {}, { address: `127.0.0.1:${number}` })
    }
    Object.assign(file.entryPoints['websecure'] ?? {}, {
      forwardedHeaders: { trustedIPs: ['127.0.0.1'] },
    })
    logFile = join(folder, 'traefik.log')
    return stringify({
      ...file,
      log: { level: 'WARN', format: 'json', filePath: logFile },
      accessLog: { ...(file['accessLog'] as object), filePath: join(folder, 'access.log') },
      providers: { file: { directory: join(folder, 'dynamic') } },
    })
  }

  beforeAll(async () => {
    if (missing) return
    party = await startRelyingParty(
      { PROTECTED_HOSTS: HOST, PUBLIC_PATHS: '/public/**' },
      { origins: [`https://${HOST}`] },
    )
    app = await startApp()
    gateway = await startGatewayProgram(
      'traefik',
      {
        port: await steadyPort(),
        hosts: [HOST],
        scheme: 'https',
        appUrl: app.url,
        vestibulePublicUrl: '',
        vestibuleCheckUrl: '',
        authResponseHeaders: [],
      },
      async (folder, port, readyHost) => {
        await mkdir(join(folder, 'dynamic'))
        const { internalPort, publicPort } = party.vestibule
        for (const name of ['vestibule.yaml', 'apps.yaml']) {
          const file = join(folder, 'dynamic', name)
          await copyFile(join(FOLDER, 'dynamic', name), file)
          const text = (await readFile(file, 'utf8'))
            .replace('http://vestibule:4181', `http://127.0.0.1:${internalPort}`)
            .replace('http://vestibule:4180', `http://127.0.0.1:${publicPort}`)
            .replace('http://app:8080', app.url)
          await writeFile(file, text)
        }
        const ready = { rule: `Host(\`${readyHost}\`)`, service: 'ping@internal' }
        await writeFile(
          join(folder, 'dynamic', 'ready.yaml'),
          stringify({ http: { routers: { ready } } }),
        )
        await writeFile(join(folder, 'traefik.yaml'), await staticFile(folder, port))
        return [`--configFile=${join(folder, 'traefik.yaml')}`]
      },
    )
  })

  afterAll(async () => {
    await gateway?.close()
    await app?.close()
    await party?.[Symbol.asyncDispose]()
  })

  const forged = {
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Uri': '/public/a',
    'X-Forwarded-Method': 'OPTIONS',
    'X-Forwarded-Host': 'evil.example',
    'X-Original-Url': '/public/a',
    Forwarded: 'host=evil.example',
    'X-Auth-Request-User': 'root',
    'X-Auth-Request-Access-Token': 'forged',
    X_Auth_Request_User: 'root',
  }

  test('a stranger is asked to sign in for what they really asked for', async ({ skip }) => {
    if (missing) return skip(missing)
    const browser = createVisitor({ connectTo: { [HOST]: gateway.origin } })
    const { status, location } = await browser.get(`https://${HOST}/secret`, { headers: forged })
    expect(status).toBe(302)
    const target = encodeURIComponent(`https://${HOST}/secret`)
    expect(location).toBe(`https://${HOST}/oauth2/login?rd=${target}`)
  })

  test('the app hears of the person who signed in, and nothing that they made up', async ({
    skip,
  }) => {
    if (missing) return skip(missing)
    const browser = createVisitor({ connectTo: { [HOST]: gateway.origin } })
    await browser.signIn(`https://${HOST}/headers`, 'alice')
    const { headers } = givenToApp(
      await browser.get(`https://${HOST}/headers`, { headers: forged }),
    )
    const given = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]))
    expect(given.get('x-auth-request-user')).toBe('alice')
    for (const name of Object.keys(forged).map((each) => each.toLowerCase())) {
      if (name !== 'x-forwarded-proto' && name !== 'x-auth-request-user')
        expect(given.has(name), name).toBe(false)
    }
  })

  test('Traefik complains about nothing', async ({ skip }) => {
    if (missing) return skip(missing)
    const log = await readFile(logFile, 'utf8')
    // The one is said at every start, the other because of the older name above.
    const always = /encoded characters in the request path|underscoreHeadersStrategy/
    expect(log.split('\n').filter((line) => line !== '' && !always.test(line))).toEqual([])
  })
})
