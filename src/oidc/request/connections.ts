import http from 'node:http'
import https from 'node:https'
import type { Proxies } from '../../core/proxies.ts'

/** Way to a server: how to open a request, and the proxy that it passes. */
export interface Route {
  readonly open: typeof http.request
  readonly agent: http.Agent
  /** Origin of the proxy, without its credentials. */
  readonly proxy: string | undefined
}

/** Idle time after which connections are closed, before a proxy or firewall on the path drops them silently. */
const IDLE_MS = 4000
/** Time limit for a proxy's answer and TLS behind it. */
const TUNNEL_MS = 5000
const AGENT = { keepAlive: true, timeout: IDLE_MS } as const
/** Connections without a proxy, by scheme. */
const DIRECT: Readonly<Record<string, Route>> = {
  'http:': { open: http.request, agent: new http.Agent(AGENT), proxy: undefined },
  'https:': { open: https.request, agent: new https.Agent(AGENT), proxy: undefined },
}

/**
 * Returns how to find the way to an address. Node's agents speak to the proxy; which hosts pass it is decided here,
 * because Node's reading of `NO_PROXY` knows neither networks nor plain domains (finding C30).
 */
export function createRoutes(proxies?: Proxies): (url: URL) => Route {
  const { http: httpProxy, https: httpsProxy } = proxies ?? {}
  const proxied: Readonly<Record<string, Route | undefined>> = {
    'http:': httpProxy === undefined ? undefined : proxiedHttp(httpProxy),
    'https:': httpsProxy === undefined ? undefined : proxiedHttps(httpsProxy),
  }
  return (url) => {
    const { protocol, hostname } = url
    const direct = DIRECT[protocol]
    if (!direct) throw new TypeError(`${protocol} is not a scheme to ask a provider by`)
    const port = Number(url.port || (protocol === 'https:' ? 443 : 80))
    return proxies?.isBypassed(hostname, port) ? direct : (proxied[protocol] ?? direct)
  }
}

function proxiedHttp(proxy: string): Route {
  const agent = new http.Agent({ ...AGENT, proxyEnv: { HTTP_PROXY: proxy } })
  return { open: http.request, agent, proxy: new URL(proxy).origin }
}

function proxiedHttps(proxy: string): Route {
  const agent = new https.Agent({ ...AGENT, proxyEnv: { HTTPS_PROXY: proxy } })
  limitTunnels(agent)
  return { open: https.request, agent, proxy: new URL(proxy).origin }
}

/**
 * Closes a connection whose tunnel is not ready in time. A request that was given up leaves it open otherwise, because
 * Node hands the connection to the request only once TLS has begun behind the proxy.
 */
function limitTunnels(agent: https.Agent): void {
  const create = agent.createConnection.bind(agent)
  agent.createConnection = (options, done) => {
    let timer: NodeJS.Timeout | undefined
    const socket = create(options, (error, tunnel) => {
      clearTimeout(timer)
      done?.(error, tunnel)
    })
    timer = setTimeout(() => socket?.destroy(), TUNNEL_MS).unref()
    return socket
  }
}
