import type { JWTVerifyOptions, JWTVerifyResult } from 'jose'
import type { ProviderConnection } from '../oidc/discovery/provider.ts'
import { keysUnavailable, providerTooSlow } from '../oidc/failure/translate.ts'
import type { KeySet, KeySets } from '../oidc/tokens/key-set.ts'
import { within } from '../timing/time-limit.ts'

/** Verifies a token of one issuer. Throws `AuthError` `provider_unavailable` where its keys cannot be had in time. */
export type VerifyByIssuer = (token: string, options: JWTVerifyOptions) => Promise<JWTVerifyResult>

/** Keys of the issuers whose tokens rules accept. */
export interface TrustedIssuers {
  /** Returns `undefined` for any other issuer, because no unverified claim may cause a request (threat A95). */
  verifierOf(issuer: string): VerifyByIssuer | undefined
  close(): void
}

export interface TrustedIssuersOptions {
  /** Returns the issuers that rules name now. */
  readonly issuers: () => ReadonlySet<string>
  /** Connects to an issuer; called once for each, on its first token. */
  readonly connect: (issuer: string) => ProviderConnection
  readonly keySets: KeySets
}

/** Longest time that a check waits for keys: the cooldown of a key set, and as long for the fetch. */
const LIMIT_MS = 2000
/** Pause after a failed lookup of an issuer whose keys have never been fetched, to bound its load. */
const PAUSE_MS = 1000

/** Creates verifiers that throw `AuthError` `provider_unavailable` where discovery fails or exceeds its time limit. */
export function createTrustedIssuers(options: TrustedIssuersOptions): TrustedIssuers {
  const connections = new Map<string, ProviderConnection>()
  const verifiers = new Map<string, VerifyByIssuer>()

  function createVerifier(issuer: string): VerifyByIssuer {
    let keySet: KeySet | undefined
    let failedAtMs = Number.NEGATIVE_INFINITY
    const verify: VerifyByIssuer = async (token, how) => {
      const connection = connections.getOrInsertComputed(issuer, options.connect)
      const { jwks_uri } = (await connection.configuration()).serverMetadata()
      keySet = options.keySets(jwks_uri as string)
      return keySet.verify(token, how, 'anybody')
    }
    return async (token, how) => {
      if (!keySet?.isFetched && performance.now() - failedAtMs < PAUSE_MS) {
        throw keysUnavailable('issuer')
      }
      return within(verify(token, how), LIMIT_MS, providerTooSlow).catch((error: unknown) => {
        if (!keySet?.isFetched) failedAtMs = performance.now()
        throw error
      })
    }
  }

  return {
    verifierOf: (issuer) =>
      options.issuers().has(issuer)
        ? verifiers.getOrInsertComputed(issuer, createVerifier)
        : undefined,
    close() {
      for (const connection of connections.values()) connection.close()
    },
  }
}
