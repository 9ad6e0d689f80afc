import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTVerifyGetKey,
} from 'jose'
import { providerFetch } from './provider-fetch.ts'

/** An unknown `kid` fetches the set anew at most this often, so a flood of them costs the provider little. */
const COOLDOWN_MS = 1000
const FRESH_MS = 10 * 60 * 1000
/** For how long the last good set is used while the provider's cannot be had. */
const LAST_GOOD_MS = 24 * 60 * 60 * 1000

/** The provider's keys: fetched when needed, refetched for an unknown `kid`, kept when fetching fails (fault F37). */
export function createKeySet(
  url: URL,
  now: () => number = () => performance.now(),
): JWTVerifyGetKey {
  let fetchedAtMs = now()
  let attemptedAtMs = Number.NEGATIVE_INFINITY
  const remote = createRemoteJWKSet(url, {
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: FRESH_MS,
    [customFetch]: async (href, init) => {
      if (now() - attemptedAtMs < COOLDOWN_MS && remote.jwks()) throw new Error('cooling down')
      attemptedAtMs = now()
      const response = await providerFetch(href, init)
      if (response.status === 200) fetchedAtMs = now()
      return response
    },
  })
  return async (header, token) => {
    try {
      return await remote(header, token)
    } catch (error) {
      const lastGood = remote.jwks()
      const isFetchFailure = !(error instanceof errors.JWKSNoMatchingKey)
      if (!isFetchFailure || !lastGood || now() - fetchedAtMs > LAST_GOOD_MS) throw error
      return createLocalJWKSet(lastGood)(header, token)
    }
  }
}
