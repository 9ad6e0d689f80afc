import type { BlockList } from 'node:net'
import type { AccessRule } from '../core/access-rule.ts'
import type { ClientCredentials } from '../core/client-credentials.ts'
import type { IdentityHeader } from '../core/identity.ts'
import type { HostPattern, Site } from '../core/site.ts'
import type { AuthorizationParam } from './authorization-params.ts'
import type { RedisConfig } from './redis/redis.ts'
import type { Settings } from './settings/settings.ts'

/** Cache mode in force: `memory` also wherever Redis is not enabled. */
export type CacheMode = 'memory' | 'redis' | 'hybrid'

/** Whole configuration, validated and immutable. */
export interface Config {
  readonly mode: CacheMode
  readonly settings: Settings
  readonly publicSite?: Site
  readonly hosts: readonly HostPattern[]
  readonly rules: readonly AccessRule[]
  readonly identityHeaders: readonly IdentityHeader[]
  readonly clientCredentials: ClientCredentials
  /** What every authorization request says beside what it has to. */
  readonly authorizationParams: readonly AuthorizationParam[]
  /** Peers whose forwarded headers are believed: `TRUSTED_PROXIES`. */
  readonly trustedNetworks: BlockList
  /** Absent in memory mode when none was given: made up at start. */
  readonly keys?: readonly Buffer[]
  /** Where the keys came from, to be read again while running. */
  readonly keyFile?: string
  /** Absent in memory mode. */
  readonly redis?: RedisConfig
}

/** Strings by name, as a process gets them. */
export type Environment = Readonly<Record<string, string | undefined>>
