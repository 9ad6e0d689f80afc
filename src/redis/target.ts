/** Address of Redis and the credentials for it. */
export type RedisTarget = SingleTarget | SentinelTarget | ClusterTarget

/** One server at a fixed address. */
export interface SingleTarget extends ServerAddress, ServerAccess {
  readonly kind: 'single'
  readonly database: number
}

/** Primary at the address that its Sentinels report. */
export interface SentinelTarget extends ServerAccess {
  readonly kind: 'sentinel'
  readonly sentinels: readonly ServerAddress[]
  readonly sentinelUsername?: string
  readonly sentinelPassword?: string
  /** Name under which the Sentinels monitor the primary. */
  readonly primaryName: string
  readonly database: number
}

/** Redis Cluster; `servers` are seed nodes, any of which reports the others. */
export interface ClusterTarget extends ServerAccess {
  readonly kind: 'cluster'
  readonly servers: readonly ServerAddress[]
}

export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** Credentials for a server. */
export interface ServerAccess {
  readonly username?: string
  readonly password?: string
  /** Name of the connections in `CLIENT LIST`; `vestibule` by default. */
  readonly clientName?: string
  /** Absent means plain TCP. */
  readonly tls?: RedisTls
}

/** PEM texts, in the form that Node's TLS takes them. */
export interface RedisTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly skipVerify: boolean
  /** Name that the certificate must be valid for, where it is not the host's. */
  readonly serverName?: string
}

/** Returns `host:port`, by which Redis names a server in its replies. */
export function addressOf({ host, port }: ServerAddress): string {
  return `${host}:${port}`
}
