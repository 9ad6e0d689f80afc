import type { Config } from '../config/config.ts'
import type { RedisServers } from '../config/redis/servers.ts'

/** Returns what the settings of Redis and its address come to, without any secret. */
export function describeRedis({ redis, mode, settings }: Config): string[] {
  if (!redis) {
    const cause = settings.REDIS_ENABLED ? 'REDIS_CACHE_MODE is memory' : 'REDIS_ENABLED is false'
    return [`# Redis: not used, because ${cause}; sessions are in the memory of this process`]
  }
  const limits = [
    ['connect', settings.REDIS_CONNECT_TIMEOUT.ms],
    ['read', settings.REDIS_READ_TIMEOUT.ms],
    ['write', settings.REDIS_WRITE_TIMEOUT.ms],
    ['check', settings.CHECK_STORE_TIMEOUT_MS],
  ].map(([name, ms]) => `${name} ${ms} ms`)
  return [
    `# Redis, in ${mode} mode:`,
    ...describeServers(redis),
    `#   TLS: ${describeTls(redis.tls)}`,
    `#   database: ${redis.database}`,
    `#   user: ${redis.username ?? 'the default user'}, ${redis.password === undefined ? 'no password' : 'with a password'}`,
    `#   client name: ${redis.clientName ?? 'vestibule'}`,
    `#   key prefix: ${settings.REDIS_KEY_PREFIX}`,
    `#   time limits: ${limits.join(', ')}`,
  ]
}

function describeServers(servers: RedisServers): string[] {
  switch (servers.kind) {
    case 'single':
      return ['#   topology: one server', `#   address: ${addressOf(servers)}`]
    case 'cluster':
      return [
        '#   topology: cluster',
        `#   addresses: ${servers.servers.map(addressOf).join(', ')}`,
      ]
    case 'sentinel':
      return [
        `#   topology: the primary ${servers.primaryName}, which Sentinels name`,
        `#   Sentinels: ${servers.sentinels.map(addressOf).join(', ')}`,
      ]
  }
}

function describeTls(tls: NonNullable<Config['redis']>['tls']): string {
  if (!tls) return 'no'
  const name = tls.serverName === undefined ? '' : `, for the name ${tls.serverName}`
  const client = tls.certFile === undefined ? '' : ', with a client certificate'
  return `yes, ${tls.skipVerify ? 'any certificate is accepted' : 'the certificate is verified'}${name}${client}`
}

function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
