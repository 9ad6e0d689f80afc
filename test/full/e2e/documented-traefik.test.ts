import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { type RunningApp, startApp } from '../../../stand-ins/app.ts'
import { findProgram } from '../../../stand-ins/process.ts'
import { type RunningGateway, startGatewayProgram } from '../../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import { type RelyingParty, startRelyingParty } from '../../support/relying-party.ts'
import { createVisitor, type Visitor } from '../../support/visitor.ts'

const HOST = 'app.example.com'
const missing = findProgram('traefik') ? undefined : 'traefik is not on PATH'

type Yaml = Record<string, Record<string, unknown>>

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

/** Only in later versions than some that people run. */
function withoutAliasStrategy(text: string): string {
  return text.replace(/^ +aliasHeadersStrategy:.*\n/gm, '')
}

/** Renders the documented configuration with addresses of this machine. */
function dynamicFile(
  readyHost: string,
  { appUrl, vestibule }: Targets,
  isBehindProxy: boolean,
): string {
  const { http } = structuredClone(routing) as { http: Yaml }
  const routers = http['routers'] as Yaml
  routers['ready'] = { rule: `Host(\`${readyHost}\`)`, service: 'ping@internal', priority: 9999 }
  if (isBehindProxy) {
    Object.assign(http['middlewares'] ?? {}, clearing['http']?.['middlewares'])
    routers['app'] = { ...routers['app'], middlewares: ['clear-forwarded', 'vestibule'] }
  }
  return stringify({ http })
    .replace('http://vestibule:4181', `http://127.0.0.1:${vestibule.internalPort}`)
    .replace('http://vestibule:4180', `http://127.0.0.1:${vestibule.publicPort}`)
    .replace('http://app:8080', appUrl)
}

interface Targets {
  readonly appUrl: string
  readonly vestibule: RelyingParty['vestibule']
}

function staticFile(dynamicPath: string, port: number, isBehindProxy: boolean): string {
  const { websecure = {} } = (entryPoints as { entryPoints: Yaml }).entryPoints
  const text = stringify({
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    entryPoints: {
      websecure: { ...websecure, address: `127.0.0.1:${port}`, ...(isBehindProxy && behindProxy) },
    },
    ping: { manualRouting: true },
    providers: { file: { filename: dynamicPath } },
  })
  return withoutAliasStrategy(text).replace('192.0.2.10', '127.0.0.1')
}

async function startDocumented(targets: Targets, isBehindProxy: boolean): Promise<RunningGateway> {
  return startGatewayProgram(
    'traefik',
    {
      port: await steadyPort(),
      hosts: [HOST],
      scheme: 'https',
      appUrl: targets.appUrl,
      vestibulePublicUrl: '',
      vestibuleCheckUrl: '',
      authResponseHeaders: [],
    },
    async (folder, port, readyHost) => {
      const [staticPath, dynamicPath] = [join(folder, 'static.yml'), join(folder, 'dynamic.yml')]
      await writeFile(dynamicPath, dynamicFile(readyHost, targets, isBehindProxy))
      await writeFile(staticPath, staticFile(dynamicPath, port, isBehindProxy))
      return [`--configFile=${staticPath}`]
    },
  )
}

const forged = {
  'X-Auth-Request-User': 'root',
  'X-Auth-Request-Groups': 'admins',
  'X-Auth-Request-Access-Token': 'forged',
}

describe('Traefik configured as the pages say', () => {
  let party: RelyingParty
  let app: RunningApp
  const gateways: RunningGateway[] = []

  beforeAll(async () => {
    if (missing) return
    const settings = { PROTECTED_HOSTS: HOST, PUBLIC_PATHS: '/public/**' }
    party = await startRelyingParty(settings, { origins: [`https://${HOST}`] })
    app = await startApp()
    for (const isBehindProxy of [false, true]) {
      gateways.push(
        await startDocumented({ appUrl: app.url, vestibule: party.vestibule }, isBehindProxy),
      )
    }
  })

  afterAll(async () => {
    for (const gateway of gateways) await gateway.close()
    await app?.close()
    await party?.[Symbol.asyncDispose]()
  })

  const visitor = (isBehindProxy: boolean): Visitor =>
    createVisitor({ connectTo: { [HOST]: gateways[isBehindProxy ? 1 : 0]?.origin ?? '' } })

  test.for([false, true])(
    'a person signs in and the app hears of nobody else, behind a proxy: %s',
    async (isBehindProxy, { skip }) => {
      if (missing) return skip(missing)
      const browser = visitor(isBehindProxy)
      const proxied = isBehindProxy ? { 'X-Forwarded-Proto': 'https' } : {}
      const landed = await browser.signIn(`https://${HOST}/headers`, 'alice')
      expect(landed.url).toBe(`https://${HOST}/headers`)

      const visit = await browser.get(`https://${HOST}/headers`, {
        headers: { ...forged, ...proxied },
      })
      const { headers } = givenToApp(visit)
      const given = (name: string) => headers.filter(([each]) => each === name).map(([, v]) => v)
      expect(given('X-Auth-Request-User')).toEqual(['alice'])
      expect(given('X-Auth-Request-Groups')).toEqual(['staff,admins'])
      expect(given('X-Auth-Request-Access-Token')).toEqual([])
      expect(given('Cookie')).toEqual([])
    },
  )

  test.for([false, true])(
    'a stranger is asked to sign in, whatever they forge, behind a proxy: %s',
    async (isBehindProxy, { skip }) => {
      if (missing) return skip(missing)
      const { status, location } = await visitor(isBehindProxy).get(`https://${HOST}/secret`, {
        headers: {
          ...forged,
          'X-Forwarded-Uri': '/public/a',
          'X-Forwarded-Method': 'OPTIONS',
          'X-Forwarded-Host': 'evil.example',
        },
      })
      expect(status).toBe(302)
      expect(location).toBe(
        `https://${HOST}/oauth2/login?rd=${encodeURIComponent(`https://${HOST}/secret`)}`,
      )
    },
  )
})
