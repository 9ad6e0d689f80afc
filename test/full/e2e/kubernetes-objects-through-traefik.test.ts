import { beforeEach, describe, expect, test } from 'vitest'
import { ROUTE_KINDS, type RouteKind } from '../../../src/render/sign-in-route.ts'
import { findProgram } from '../../../stand-ins/process.ts'
import { type Manifest, named, ofKind, renderedWith } from '../../deploy/manifests.ts'
import { routesOf } from '../../deploy/routes.ts'
import { startTraefikWith } from '../../support/generated-traefik.ts'
import { prepared } from '../../support/prepared.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import { startRelyingParty } from '../../support/relying-party.ts'
import { createVisitor } from '../../support/visitor.ts'

const absent = ['traefik', 'kubectl'].filter((name) => !findProgram(name))
const missing = absent.length > 0 ? `not on PATH: ${absent.join(', ')}` : undefined
const HOST = 'app.example.com'
const PAGE = `https://${HOST}/headers`

/** The rendered objects in the form of the file provider, which needs no API server. */
async function startRendered(kind: RouteKind) {
  await using stack = new AsyncDisposableStack()
  const own = kind === 'ingressroute' ? [] : [kind]
  const objects = renderedWith('overlays/demo', ['redis', 'middleware', ...own]) ?? []
  const { data = {} } = named(objects, 'ConfigMap', 'vestibule')
  const { PROTECTED_HOSTS = '', ALLOWED_EMAIL_DOMAINS = '' } = data
  const settings = { PROTECTED_HOSTS, ALLOWED_EMAIL_DOMAINS, ALLOW_ANY_USER: 'false' }
  const { vestibule } = stack.use(await startRelyingParty(settings))
  const here = (text: string) =>
    text.replace(
      'http://vestibule.elsewhere.svc.cluster.local.:4181',
      `http://127.0.0.1:${vestibule.internalPort}`,
    )
  const middlewares = ofKind<MiddlewareSpec>(objects, 'Middleware').map(
    ({ metadata, spec }) => [metadata.name, inFile(spec)] as const,
  )
  const made = JSON.parse(here(JSON.stringify(Object.fromEntries(middlewares)))) as Middlewares
  const gateway = stack.use(
    await startTraefikWith({
      middlewares: made,
      routers: routersOf(objects),
      urls: { vestibule: `http://127.0.0.1:${vestibule.publicPort}` },
    }),
  )
  const resources = stack.move()
  return {
    visitor: () => createVisitor({ connectTo: { [HOST]: gateway.origin } }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

type Middlewares = Readonly<Record<string, object>>
interface MiddlewareSpec {
  readonly chain?: { readonly middlewares: readonly { readonly name: string }[] }
}

function inFile(spec: MiddlewareSpec): object {
  const { chain } = spec
  return chain ? { chain: { middlewares: chain.middlewares.map(({ name }) => name) } } : spec
}

function routersOf(objects: readonly Manifest[]) {
  return Object.fromEntries(
    routesOf(objects).map(({ name, rule, priority, middlewares, service }) => [
      name,
      {
        rule,
        ...(priority !== undefined && { priority }),
        ...(middlewares.length > 0 && { middlewares }),
        service: service === 'whoami' ? 'app' : service,
      },
    ]),
  )
}

const forged = {
  'X-Auth-Request-User': 'root',
  'X-Auth-Request-Access-Token': 'forged',
  'X-Forwarded-User': 'root',
  'X-Forwarded-Uri': '/public',
  'X-Original-Url': '/public',
  Forwarded: 'host=evil.example',
}

describe.for(ROUTE_KINDS)('the demo overlay with routes by %s', (kind) => {
  const started = prepared(async () => (missing ? undefined : startRendered(kind)))
  const visitor = () => (started() as Awaited<ReturnType<typeof startRendered>>).visitor()
  beforeEach(({ skip }) => skip(missing !== undefined, missing))

  test('sends a stranger to sign in, whatever they claim', async () => {
    const { status, location } = await visitor().get(PAGE, { headers: forged })
    const rd = encodeURIComponent(PAGE)
    expect([status, location]).toEqual([302, `https://${HOST}/oauth2/login?rd=${rd}`])
  })

  test('signs a person in, and the app hears of nobody else', async () => {
    const browser = visitor()
    expect((await browser.signIn(PAGE, 'alice')).url).toBe(PAGE)
    const { headers } = givenToApp(await browser.get(PAGE, { headers: forged }))
    const valuesOf = (name: string) =>
      headers
        .filter(([each]) => each.toLowerCase() === name.toLowerCase())
        .map(([, value]) => value)
    expect(valuesOf('X-Auth-Request-User')).toEqual(['alice'])
    for (const name of [...Object.keys(forged), 'Cookie'].slice(1))
      expect(valuesOf(name), name).toEqual([])
  })
})
