import { errors, type JWTVerifyGetKey } from 'jose'
import { AuthError } from '../errors.ts'
import type { KeySets } from '../oidc/key-set.ts'
import type { ProviderConnection } from '../oidc/provider.ts'
import { within } from '../oidc/time-limit.ts'

/** The keys of the issuers whose tokens rules accept. */
export interface TrustedIssuers {
  /** Nothing for any other issuer: no request is ever made because of what a token says (threat A95). */
  keysOf(issuer: string): JWTVerifyGetKey | undefined
  close(): void
}

export interface TrustedIssuersOptions {
  readonly issuers: ReadonlySet<string>
  /** Called once per issuer, when the first token of it is there. */
  readonly connect: (issuer: string) => ProviderConnection
  readonly keySets: KeySets
}

/** A check waits no longer than this for keys. */
const LIMIT_MS = 1200
/** As long as nothing is known of an issuer it is asked at most this often, whatever is presented. */
const PAUSE_MS = 1000

/** The lookups throw `AuthError` `provider_unavailable` where discovery has not succeeded or takes too long. */
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
        throw new AuthError('provider_unavailable', 'the keys of the issuer could not be had')
      }
      try {
        const key = await within(LIMIT_MS, find(header, token))
        isKnown = true
        return key
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) isKnown = true
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
