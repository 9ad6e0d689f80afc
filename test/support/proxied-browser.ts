import type { ProxyOptions } from '../../stand-ins/proxy/proxies.ts'
import { type GatewayKind, HOSTS, type SeenByApp, startBehindProxies } from './protected-app.ts'
import type { TestProviderOptions } from './provider.ts'
import { startRelyingParty } from './relying-party.ts'
import { createVisitor, type Visit } from './visitor.ts'

/** The demo's app at two hosts behind each proxy, and browsers that reach them through it. */
export async function startProxiedHosts({
  settings = {},
  provider = {},
  gateway = {},
}: {
  readonly settings?: Readonly<Record<string, string>>
  readonly provider?: TestProviderOptions
  readonly gateway?: Partial<ProxyOptions>
} = {}) {
  const origins = HOSTS.map((host) => `https://${host}`)
  const started = await startBehindProxies(
    () => startRelyingParty(settings, { origins, ...provider }),
    gateway,
  )
  return {
    ...started,
    browser: (kind: GatewayKind) =>
      createVisitor({
        connectTo: Object.fromEntries(HOSTS.map((host) => [host, started.originOf(kind)])),
      }),
  }
}

export type ProxiedHosts = Awaited<ReturnType<typeof startProxiedHosts>>

/** Parses the demo app's report of the request that it was given. */
export function givenToApp({ status, url, body }: Visit): SeenByApp {
  if (!body.startsWith('{"method":')) throw new Error(`${url} (${status}) is not the app: ${body}`)
  return JSON.parse(body) as SeenByApp
}
