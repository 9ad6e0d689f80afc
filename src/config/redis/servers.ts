import { attempt } from '../attempt.ts'
import type { Settings } from '../settings/settings.ts'
import { parseRedisAddress } from './address.ts'
import { parseServer, type RedisAddress, type RedisServer } from './server.ts'

/** Servers that hold the data, by topology. */
export type RedisServers =
  | ({ readonly kind: 'single' } & RedisServer)
  | { readonly kind: 'cluster'; readonly servers: readonly RedisServer[] }
  | SentinelPlace

export interface SentinelPlace {
  readonly kind: 'sentinel'
  readonly sentinels: readonly RedisServer[]
  readonly primaryName: string
  readonly sentinelUsername?: string
  readonly sentinelPassword?: string
}

/** Servers of Redis and the address that names them; `servers` is absent after a problem. */
export interface CheckedServers {
  readonly servers?: RedisServers | undefined
  readonly address?: RedisAddress | undefined
}

const SENTINEL_PORT = 26_379

/**
 * Returns the servers that the Redis settings name, one of a single server, Sentinels and a cluster; adds contradictions
 * to `problems`.
 */
export function checkServers(settings: Settings, problems: string[]): CheckedServers {
  if (settings.REDIS_SENTINEL_ADDRESSES.length > 0) {
    return { servers: checkSentinels(settings, problems) }
  }
  for (const name of [
    'REDIS_SENTINEL_MASTER',
    'REDIS_SENTINEL_USERNAME',
    'REDIS_SENTINEL_PASSWORD',
  ] as const) {
    if (settings[name] === undefined) continue
    problems.push(`${name}: has no use without Sentinels: set REDIS_SENTINEL_ADDRESSES`)
  }
  const address = findAddress(settings, problems)
  return { address, servers: address && serversOf(settings, address, problems) }
}

function checkSentinels(settings: Settings, problems: string[]): SentinelPlace | undefined {
  const { REDIS_SENTINEL_MASTER, REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD } = settings
  for (const name of ['REDIS_ADDRESS', 'REDIS_URL'] as const) {
    if (settings[name] === undefined) continue
    problems.push(`${name}: the Sentinels name the server: remove it, or REDIS_SENTINEL_ADDRESSES`)
  }
  if (settings.REDIS_CLUSTER) {
    problems.push(
      'REDIS_CLUSTER: a Redis Cluster has no Sentinels: remove it, or REDIS_SENTINEL_ADDRESSES',
    )
  }
  if (REDIS_SENTINEL_MASTER === undefined) {
    problems.push(
      'REDIS_SENTINEL_MASTER: is missing: set the name that follows `sentinel monitor` in the configuration of the Sentinels',
    )
  }
  const sentinels = settings.REDIS_SENTINEL_ADDRESSES.flatMap((text) => {
    const parse = () => parseServer(text, SENTINEL_PORT)
    return attempt('REDIS_SENTINEL_ADDRESSES', 'write host:port', problems, parse) ?? []
  })
  if (REDIS_SENTINEL_MASTER === undefined) return undefined
  return {
    kind: 'sentinel',
    sentinels,
    primaryName: REDIS_SENTINEL_MASTER,
    ...(REDIS_SENTINEL_USERNAME !== undefined && { sentinelUsername: REDIS_SENTINEL_USERNAME }),
    ...(REDIS_SENTINEL_PASSWORD !== undefined && { sentinelPassword: REDIS_SENTINEL_PASSWORD }),
  }
}

function findAddress(settings: Settings, problems: string[]): RedisAddress | undefined {
  const { REDIS_ADDRESS, REDIS_URL } = settings
  if (REDIS_ADDRESS !== undefined && REDIS_URL !== undefined) {
    problems.push('REDIS_ADDRESS and REDIS_URL are both set: remove one of them')
  }
  const text = REDIS_URL ?? REDIS_ADDRESS
  if (text === undefined) {
    problems.push(
      'REDIS_ADDRESS: is missing, and REDIS_ENABLED is true: set host:port, REDIS_URL, or REDIS_SENTINEL_ADDRESSES',
    )
    return undefined
  }
  const name = nameOfAddress(settings)
  return attempt(name, 'write host:port or a redis:// URL', problems, () => parseRedisAddress(text))
}

/** Returns which of the two settings for the address is used. */
export function nameOfAddress({ REDIS_URL }: Settings): 'REDIS_URL' | 'REDIS_ADDRESS' {
  return REDIS_URL === undefined ? 'REDIS_ADDRESS' : 'REDIS_URL'
}

function serversOf(
  settings: Settings,
  { servers }: RedisAddress,
  problems: string[],
): RedisServers {
  if (settings.REDIS_CLUSTER) return { kind: 'cluster', servers }
  if (servers.length > 1) {
    problems.push(
      `${nameOfAddress(settings)}: names several servers: set REDIS_CLUSTER=true for a Redis Cluster, or REDIS_SENTINEL_ADDRESSES for Sentinels`,
    )
  }
  return { kind: 'single', ...servers[0] }
}
