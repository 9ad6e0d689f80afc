import type { JWTVerifyGetKey } from 'jose'
import type { KeySets } from '../oidc/key-set.ts'
import type { ProviderConnection } from '../oidc/provider.ts'
import { isUnknownKey } from '../oidc/provider-errors.ts'
import { keysUnavailable, providerTooSlow } from '../oidc/translate.ts'
import { within } from '../timing/time-limit.ts'

/** Keys of the issuers whose tokens rules accept. */
export interface TrustedIssuers {
  /** Returns `undefined` for any other issuer, because no unverified claim may cause a request (threat A95). */
  keysOf(issuer: string): JWTVerifyGetKey | undefined
  close(): void
}

export interface TrustedIssuersOptions {
  readonly issuers: ReadonlySet<string>
  /** Connects to an issuer; called once for each, on its first token. */
  readonly connect: (issuer: string) => ProviderConnection
  readonly keySets: KeySets
}

/** Longest time that a check waits for keys. */
const LIMIT_MS = 1200
/** Pause after a failed lookup of an issuer whose keys have never been fetched, to bound its load. */
const PAUSE_MS = 1000

/** Creates lookups that throw `AuthError` `provider_unavailable` where discovery fails or exceeds its time limit. */
export function createTrustedIssuers(options: TrustedIssuersOptions): TrustedIssuers {
  const connections = new Map<string, ProviderConnection>()
  const trusted = new Map([...options.issuers].map((issuer) => [issuer, createLookup(issuer)]))

  function createLookup(issuer: string): JWTVerifyGetKey {
    let isKnown = false
    let failedAtMs = Number.NEGATIVE_INFINITY
    const find = async (...[header, token]: Parameters<JWTVerifyGetKey>) => {
      const connection = connections.getOrInsertComputed(issuer, options.connect)
      const { jwks_uri } = (await connection.configuration()).serverMetadata()
      return options.keySets(jwks_uri as string)(header, token)
    }
    return async (header, token) => {
      if (!isKnown && performance.now() - failedAtMs < PAUSE_MS) {
        throw keysUnavailable('issuer')
      }
      try {
        const key = await within(find(header, token), LIMIT_MS, providerTooSlow)
        isKnown = true
        return key
      } catch (error) {
        if (isUnknownKey(error)) isKnown = true
        else failedAtMs = performance.now()
        throw error
      }
    }
  }

  return {
    keysOf: (issuer) => trusted.get(issuer),
    close() {
      for (const connection of connections.values()) connection.close()
    },
  }
}
