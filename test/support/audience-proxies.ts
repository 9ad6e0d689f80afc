import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startApp } from '../../stand-ins/app.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startGatewayProgram } from '../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
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
  const unused = { hosts: [], vestibulePublicUrl: '', vestibuleCheckUrl: '' }
  const gateway = await startGatewayProgram(
    'caddy',
    { ...unused, authResponseHeaders, appUrl, scheme: 'https', port: await steadyPort() },
    async (folder, port, readyHost) => {
      const issued = await (await createAuthority()).issue([HOST, readyHost])
      const file = join(folder, 'Caddyfile')
      await writeFile(join(folder, 'tls.crt'), issued.certificate)
      await writeFile(join(folder, 'tls.key'), issued.privateKey)
      const site = (host: string, routes: string) =>
        `https://${host}:${port} {\n  bind 127.0.0.1\n  tls ${folder}/tls.crt ${folder}/tls.key\n${routes}\n}\n`
      const routes = queries.map((query, at) =>
        caddyRoute(`/${at}/*`, `/auth${query || '?'}`, { ...vestibule, appUrl }),
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

/** Headers that every 200 has; old versions of Caddy hand on the text of the placeholder for others. */
const COPIED = authResponseHeaders.filter((name) => /^X-Auth-Request-(?!Access-Token)/.test(name))

function caddyRoute(
  path: string,
  uri: string,
  { internalPort, appUrl }: { readonly internalPort: number; readonly appUrl: string },
): string {
  return `  handle ${path} {
    forward_auth http://127.0.0.1:${internalPort} {
      uri "${uri}"
      copy_headers ${COPIED.join(' ')}
    }
    reverse_proxy ${appUrl}
  }`
}
