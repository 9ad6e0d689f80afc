import { startApp } from '../../stand-ins/app.ts'
import { type ProxyOptions, proxyMissing, startProxy } from '../../stand-ins/proxy/proxies.ts'
import type { RunningProxy } from '../../stand-ins/proxy/proxy.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { type GatewayKind, gatewayKinds, type SeenByApp } from './protected-app.ts'
import type { TestProviderOptions } from './provider.ts'
import { type RelyingParty, startRelyingParty } from './relying-party.ts'
import { createVisitor, type Visit, type Visitor } from './visitor.ts'

const HOSTS = ['app.example.com', 'other.example.com']

export interface ProxiedOptions {
  readonly settings?: Readonly<Record<string, string>>
  readonly provider?: TestProviderOptions
  readonly gateway?: Partial<ProxyOptions>
}

/** The demo's app at two hosts, behind the same Vestibule and each proxy that is here. */
export interface ProxiedHosts extends AsyncDisposable {
  readonly party: RelyingParty
  /** `skip` is the test's own; it is called with the reason where this proxy is missing. */
  readonly browser: (kind: GatewayKind, skip: (reason: string) => void) => Visitor
}

export async function startProxiedHosts(options: ProxiedOptions = {}): Promise<ProxiedHosts> {
  await using stack = new AsyncDisposableStack()
  const origins = HOSTS.map((host) => `https://${host}`)
  const party = stack.use(
    await startRelyingParty(options.settings, { origins, ...options.provider }),
  )
  const app = stack.use(await startApp())
  const proxies = new Map<GatewayKind, RunningProxy>()
  for (const kind of gatewayKinds.filter((each) => !proxyMissing(each))) {
    const proxy = await startProxy(kind, {
      hosts: HOSTS,
      scheme: 'https',
      vestibulePublicUrl: `http://127.0.0.1:${party.vestibule.publicPort}`,
      vestibuleCheckUrl: `http://127.0.0.1:${party.vestibule.internalPort}/auth`,
      appUrl: app.url,
      authResponseHeaders,
      ...options.gateway,
    })
    proxies.set(kind, stack.use(proxy))
  }
  const resources = stack.move()
  return {
    party,
    browser: (kind, skip) => {
      const { origin } = proxies.get(kind) ?? {}
      if (origin) {
        return createVisitor({ connectTo: Object.fromEntries(HOSTS.map((host) => [host, origin])) })
      }
      skip(proxyMissing(kind) ?? `${kind} was not started`)
      throw new Error(`${kind} is missing`)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Parses the demo app's report of the request that it was given. */
export function givenToApp({ status, url, body }: Visit): SeenByApp {
  if (!body.startsWith('{"method":')) throw new Error(`${url} (${status}) is not the app: ${body}`)
  return JSON.parse(body) as SeenByApp
}
