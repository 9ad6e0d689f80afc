import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startApp } from '../../stand-ins/app.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startGatewayProgram } from '../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { generatedMiddlewares, type Middlewares, startTraefikWith } from './generated-traefik.ts'
import type { RunningVestibule } from './vestibule.ts'

export const audienceProxies = ['traefik', 'caddy'] as const
export type AudienceProxy = (typeof audienceProxies)[number]

interface Audiences {
  readonly vestibule: Pick<RunningVestibule, 'internalPort'>
  readonly settings: Readonly<Record<string, string>>
  /** Queries of the address of the check, each with its leading `?`; the empty text for none. */
  readonly queries: readonly string[]
}

const HOST = 'app.example.com'

/** Starts a proxy in which paths below `/N/` are checked with the query at N. */
export function startAudienceProxy(kind: AudienceProxy, audiences: Audiences) {
  return kind === 'traefik' ? startTraefik(audiences) : startCaddy(audiences)
}

/** Uses the chain that is generated for a policy where there is one; other queries get a middleware of the same kind. */
function startTraefik({ vestibule, settings, queries }: Audiences) {
  const generated = generatedMiddlewares(settings, vestibule)
  const { forwardAuth } = generated.vestibule
  const made = queries.map((query, at) => {
    const chain = query === '' ? 'protected' : query.replace(/^\?policy=(\w+)$/, 'protected-$1')
    const address = `${forwardAuth.address}${query}`
    const own = { [`audience-${at}`]: { forwardAuth: { ...forwardAuth, address } } }
    return chain in generated
      ? { names: [chain], own: {} }
      : { names: ['vestibule-strip', `audience-${at}`], own }
  })
  const middlewares = Object.assign({}, generated, ...made.map(({ own }) => own)) as Middlewares
  const routers = made.map(({ names }, at) => [
    `audience-${at}`,
    {
      rule: `Host(\`${HOST}\`) && PathPrefix(\`/${at}/\`)`,
      service: 'app',
      middlewares: names,
    },
  ])
  return startTraefikWith({ middlewares, routers: Object.fromEntries(routers) as Middlewares })
}

async function startCaddy({ vestibule, queries }: Audiences) {
  await using stack = new AsyncDisposableStack()
  const { url: appUrl } = stack.use(await startApp())
  const unused = {
    hosts: [],
    vestibulePublicUrl: '',
    vestibuleCheckUrl: '',
    authResponseHeaders: [],
  }
  const gateway = await startGatewayProgram(
    'caddy',
    { ...unused, appUrl, scheme: 'https', port: await steadyPort() },
    async (folder, port, readyHost) => {
      const issued = await (await createAuthority()).issue([HOST, readyHost])
      const file = join(folder, 'Caddyfile')
      await writeFile(join(folder, 'tls.crt'), issued.certificate)
      await writeFile(join(folder, 'tls.key'), issued.privateKey)
      const site = (host: string, routes: string) =>
        `https://${host}:${port} {\n  bind 127.0.0.1\n  tls ${folder}/tls.crt ${folder}/tls.key\n${routes}\n}\n`
      const routes = queries.map(
        (query, at) =>
          `handle /${at}/* {\n${caddyRoutes(`/auth${query || '?'}`, vestibule.internalPort, appUrl)}}`,
      )
      await writeFile(
        file,
        `{\n  admin off\n  auto_https off\n}\n${site(readyHost, '  respond "OK"')}${site(HOST, routes.join('\n'))}`,
      )
      return ['run', '--config', file, '--adapter', 'caddyfile']
    },
  )
  stack.use(gateway)
  const resources = stack.move()
  return { origin: gateway.origin, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** Returns the routes of the example on the page, with these addresses. */
function caddyRoutes(uri: string, internalPort: number, appUrl: string): string {
  const page = readFileSync('docs/traefik.md', 'utf8')
  const [, routes] = /^```caddyfile\n.*? \{\n(.*?)^\}\n```$/ms.exec(page) ?? []
  if (routes === undefined) throw new Error('the page has no example for Caddy')
  return routes
    .replace('uri /auth?policy=staff', `uri "${uri}"`)
    .replace('vestibule:4181', `127.0.0.1:${internalPort}`)
    .replace('app:8080', new URL(appUrl).host)
}
