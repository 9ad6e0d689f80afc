import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { traefikFile, traefikPolicies } from '../../src/render/traefik.ts'
import { startApp } from '../../stand-ins/app.ts'
import { startGatewayProgram } from '../../stand-ins/proxy/gateway.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { base } from './configuration.ts'
import { send } from './protected-app.ts'
import type { TestProviderOptions } from './provider.ts'
import { startRelyingParty } from './relying-party.ts'
import { writeRules } from './rules-file.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Middlewares of Traefik by name. */
export type Middlewares = Readonly<Record<string, object>> & {
  readonly vestibule: { readonly forwardAuth: ForwardAuth }
}

interface ForwardAuth {
  readonly address: string
  readonly authResponseHeaders: readonly string[]
}

type Settings = Readonly<Record<string, string>>

/** Returns the middlewares that `render traefik` prints for a service with these settings, those of each policy too. */
export function generatedMiddlewares(settings: Settings, { internalPort }: Place): Middlewares {
  const config = loadConfig({ ...base, ...settings })
  const policies = [...config.rules.policies.keys()]
  const printed = [traefikFile(config, 'vestibule'), traefikPolicies(config, policies, 'vestibule')]
  const read = printed.map((text) => {
    const here = text.replaceAll('://vestibule:4181', `://127.0.0.1:${internalPort}`)
    return (parse(here) as { readonly http: { readonly middlewares: object } }).http.middlewares
  })
  return Object.assign({}, ...read) as Middlewares
}

type Place = Pick<RunningVestibule, 'internalPort'>

/** Starts a service with these rules, and Traefik with the middlewares that are generated for it before the app. */
export async function startGenerated(
  rules: readonly RuleSource[],
  further: Settings = {},
  provider: TestProviderOptions = {},
) {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await writeRules(rules))
  const settings = { VESTIBULE_CONFIG: path, ALLOW_ANY_USER: 'false', ...further }
  const { vestibule } = stack.use(await startRelyingParty(settings, provider))
  const middlewares = generatedMiddlewares(settings, vestibule)
  const app = { rule: 'Host(`app.example.com`)', service: 'app', middlewares: ['protected'] }
  const { origin } = stack.use(await startTraefikWith({ middlewares, routers: { app } }))
  const resources = stack.move()
  return {
    vestibule,
    /** Headers that Traefik takes from the answer of the check. */
    names: middlewares.vestibule.forwardAuth.authResponseHeaders,
    /** Asks through Traefik; without a cookie as a stranger. */
    ask: (target: string, cookie = '', headers: readonly string[] = []) =>
      send(origin, { target, headers: cookie === '' ? headers : ['Cookie', cookie, ...headers] }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Starts Traefik from PATH with these middlewares and routers before the app, which is the service `app`. */
export async function startTraefikWith({
  middlewares,
  routers,
  urls = {},
}: {
  readonly middlewares: Readonly<Record<string, object>>
  readonly routers: Readonly<Record<string, object>>
  /** Addresses of further services by name. */
  readonly urls?: Readonly<Record<string, string>>
}) {
  await using stack = new AsyncDisposableStack()
  const { url: appUrl } = stack.use(await startApp())
  const unused = { hosts: [], vestibulePublicUrl: '', vestibuleCheckUrl: '' }
  const gateway = await startGatewayProgram(
    'traefik',
    { ...unused, authResponseHeaders: [], appUrl, scheme: 'https', port: await steadyPort() },
    async (folder, port, readyHost) => {
      const ready = { rule: `Host(\`${readyHost}\`)`, service: 'ping@internal', priority: 9999 }
      const services = Object.fromEntries(
        Object.entries({ app: appUrl, ...urls }).map(([name, url]) => [
          name,
          { loadBalancer: { servers: [{ url }] } },
        ]),
      )
      const filename = join(folder, 'dynamic.yml')
      const file = join(folder, 'static.yml')
      const http = { middlewares, routers: { ready, ...routers }, services }
      await writeFile(filename, stringify({ http }))
      await writeFile(file, stringify(staticConfiguration(port, filename)))
      return [`--configFile=${file}`]
    },
  )
  stack.use(gateway)
  const resources = stack.move()
  return { origin: gateway.origin, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

function staticConfiguration(port: number, filename: string) {
  return {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'WARN' },
    entryPoints: { websecure: { address: `127.0.0.1:${port}`, http: { tls: {} } } },
    ping: { manualRouting: true },
    providers: { file: { filename, watch: false } },
  }
}
