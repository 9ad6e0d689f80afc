import type { BlockList } from 'node:net'
import type { RuleSet } from '../core/access/rule-set.ts'
import type { ClientCredentials } from '../core/client-credentials.ts'
import type { IdentityHeader } from '../core/identity-headers.ts'
import type { Proxies } from '../core/proxies.ts'
import type { TokenKind } from '../core/session.ts'
import type { HostPattern, Site } from '../core/site.ts'
import type { AuthorizationParam } from './authorization-params.ts'
import type { InternalTlsFiles } from './internal-tls.ts'
import type { Notice } from './notices.ts'
import type { RedisConfig } from './redis/redis.ts'
import type { ReloadedRules } from './reload/read-rules-again.ts'
import type { SettingName, Settings } from './settings/settings.ts'
import type { Origin } from './sources/given.ts'

/** Whole configuration, validated and immutable. */
export type Config = CommonConfig & Storage

/** Storage of sessions, by the mode in force: `memory` also where Redis is not enabled. */
type Storage =
  | { readonly mode: 'memory'; readonly redis?: undefined }
  | { readonly mode: 'redis' | 'hybrid'; readonly redis: RedisConfig }

/** Configuration that every mode has. */
export interface CommonConfig {
  readonly settings: Settings
  readonly publicSite?: Site
  readonly hosts: readonly HostPattern[]
  readonly rules: RuleSet
  readonly identityHeaders: readonly IdentityHeader[]
  readonly clientCredentials: ClientCredentials
  /** Proxies for requests to providers and issuers; absent where none is set. */
  readonly proxies?: Proxies
  /** Parameters that each authorization request carries besides those of the protocol. */
  readonly authorizationParams: readonly AuthorizationParam[]
  /** Tokens of the provider that apps receive, in whichever header. */
  readonly passedTokens: ReadonlySet<TokenKind>
  /** Networks of `TRUSTED_PROXIES`, whose forwarded headers are believed. */
  readonly trustedNetworks: BlockList
  /** Files of the internal listener's TLS; absent where it speaks plain HTTP. */
  readonly internalTls?: InternalTlsFiles
  /** Absent in memory mode without a configured key; one is generated at start then. */
  readonly keys?: readonly Buffer[]
  /** Places of the settings that do not have their default. */
  readonly origins: ReadonlyMap<SettingName, Origin>
  /** Parts of the configuration that have no effect. */
  readonly notices: readonly Notice[]
  /** Path of the key file, which is re-read while the service runs. */
  readonly keyFile?: string
  /** Files that hold rules, policies and lists, which are re-read while the service runs. */
  readonly ruleFiles: readonly string[]
  /** Reads rules, policies and lists again, by the same environment. Throws `ConfigError` as at the start. */
  readonly readAgain: () => ReloadedRules
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>
