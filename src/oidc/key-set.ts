import { setTimeout as pause } from 'node:timers/promises'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose'
import { within } from '../timing/time-limit.ts'
import { emptyKeySet, isUnknownKey, keysAnswered } from './provider-errors.ts'
import { providerFetch } from './provider-fetch.ts'
import { providerTooSlow } from './translate.ts'

/** Minimum pause between two fetches for unknown `kid`s, so that a flood of them does not reach the provider. */
const COOLDOWN_MS = 1000
const FRESH_MS = 10 * 60 * 1000
/** Time for which the last good set is used while fetching fails. */
const LAST_GOOD_MS = 24 * 60 * 60 * 1000
/** Time limit of a fetch where there is a last good set. */
const PATIENCE_MS = 500

/** Last set fetched; jose's `jwks()` would copy it and import its keys anew for each token during an outage. */
interface GoodSet {
  readonly keys: ReturnType<typeof createLocalJWKSet>
  readonly fetchedAtMs: number
}

/** Returns the key set at a URL, the same one for every caller. */
export type KeySets = (uri: string) => JWTVerifyGetKey

/** Creates a registry of key sets; their URLs come from providers' metadata, never from a token (threat A81). */
export function createKeySets(): KeySets {
  const keySets = new Map<string, JWTVerifyGetKey>()
  return (uri) => keySets.getOrInsertComputed(uri, () => createKeySet(new URL(uri)))
}

/** Creates a key set that is fetched on demand and for an unknown `kid`, and kept when fetching fails (fault F37). */
export function createKeySet(url: URL, now = () => performance.now()): JWTVerifyGetKey {
  let lastGood: GoodSet | undefined
  let attemptedAtMs = Number.NEGATIVE_INFINITY

  const remote = createRemoteJWKSet(url, {
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: FRESH_MS,
    [customFetch]: async (href, init) => {
      const leftMs = attemptedAtMs + COOLDOWN_MS - now()
      if (lastGood && leftMs > 0) throw new Error('cooling down')
      // Delays the fetch where there is no last good set, so that made-up tokens cannot cause more fetches (finding
      // C13).
      if (leftMs > 0) await pause(leftMs)
      attemptedAtMs = now()
      const response = await providerFetch(href, init)
      if (response.status !== 200) throw keysAnswered(href, response.status)
      const set: unknown = await response.clone().json()
      if (!isUsable(set)) throw emptyKeySet()
      lastGood = { keys: createLocalJWKSet(set), fetchedAtMs: now() }
      return response
    },
  })

  return async (header, token) => {
    try {
      const found = remote(header, token)
      return await (lastGood ? within(found, PATIENCE_MS, providerTooSlow) : found)
    } catch (error) {
      const isKept = lastGood && now() - lastGood.fetchedAtMs < LAST_GOOD_MS
      if (!lastGood || !isKept || isUnknownKey(error)) throw error
      return lastGood.keys(header, token).catch(() => {
        throw error
      })
    }
  }
}

function isUsable(set: unknown): set is JSONWebKeySet {
  const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  return Array.isArray(keys) && keys.length > 0
}
