import type { RedisTarget } from '../../src/redis/target.ts'

const addressOf = ({ host, port }: { readonly host: string; readonly port: number }) =>
  `${host}:${port}`

/** The settings that lead a replica there, in place of those for a single server. */
export const settingsFor = (target: RedisTarget): Readonly<Record<string, string>> => {
  const password = target.password === undefined ? {} : { REDIS_PASSWORD: target.password }
  switch (target.kind) {
    case 'single':
      return { ...password, REDIS_ADDRESS: addressOf(target) }
    case 'sentinel':
      return {
        ...password,
        REDIS_ADDRESS: '',
        REDIS_SENTINEL_ADDRESSES: target.sentinels.map(addressOf).join(','),
        REDIS_SENTINEL_MASTER: target.primaryName,
        ...(target.sentinelPassword !== undefined && {
          REDIS_SENTINEL_PASSWORD: target.sentinelPassword,
        }),
      }
    case 'cluster':
      return {
        ...password,
        REDIS_CLUSTER: 'true',
        REDIS_ADDRESS: target.servers.map(addressOf).join(','),
      }
  }
}
