import type { Proxies } from '../core/proxies.ts'
import { attempt } from './attempt.ts'
import type { Environment } from './config.ts'
import { ValueError } from './config-error.ts'
import { parseProxyExceptions } from './proxy-exceptions.ts'
import type { Settings } from './settings/settings.ts'

const NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'] as const
const REMEDY = 'write http://proxy.example.com:3128'
const EXCEPTIONS_REMEDY =
  'write hosts, domains, addresses or networks such as .example.com,10.0.0.0/8'

/** Returns the environment with `https_proxy` and its like under our names; they count first, as for curl and Node. */
export function withLowerCaseProxies(environment: Environment): Environment {
  const all = { ...environment }
  for (const name of NAMES) {
    const written = name.toLowerCase()
    all[name] = environment[written]?.trim() || environment[name]
    delete all[written]
  }
  return all
}

/** Reads the proxies (finding C30); `undefined` where none is set. */
export function readProxies(settings: Settings, problems: string[]): Proxies | undefined {
  const [http, https] = (['HTTP_PROXY', 'HTTPS_PROXY'] as const).map((name) =>
    attempt(name, REMEDY, problems, () => parseProxy(settings[name])),
  )
  if (!http && !https) return undefined
  const isBypassed = attempt('NO_PROXY', EXCEPTIONS_REMEDY, problems, () =>
    parseProxyExceptions(settings.NO_PROXY),
  )
  return isBypassed && { isBypassed, ...(http && { http }), ...(https && { https }) }
}

/** Accepts an address without a scheme, as other programs do. Messages leave the value out because it may hold a password. */
function parseProxy(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (!url?.hostname) throw new ValueError('is not the address of a proxy')
  if (!/^https?:$/.test(url.protocol)) {
    throw new ValueError(`is a ${url.protocol}// proxy, and only HTTP proxies are supported`)
  }
  if (`${url.pathname}${url.search}${url.hash}` !== '/') {
    throw new ValueError('has more than scheme, credentials, host and port')
  }
  if (!isDecodable(`${url.username}${url.password}`)) {
    throw new ValueError('has credentials with a % that is not written as %25')
  }
  return url.href
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
