import { setTimeout as pause } from 'node:timers/promises'
import { type JWTVerifyOptions, jwtVerify } from 'jose'
import { cleanUrl } from '../../core/clean-text.ts'
import { createSingleFlight } from '../../timing/single-flight.ts'
import { within } from '../../timing/time-limit.ts'
import { keysUnavailable, providerTooSlow } from '../failure/translate.ts'
import { emptyKeySet, isAboutKey, isUnknownKey, ProviderFault } from '../request/provider-errors.ts'
import type { ProviderFetch } from '../request/provider-fetch.ts'
import { type PublishedKeys, toPublishedKeys, verifyWithEach } from './published-keys.ts'
import { type VerifiedJwt, verifyJwt } from './verify-jwt.ts'

/** Minimum pause between two fetches, so that a flood of made-up tokens does not reach the provider. */
const COOLDOWN_MS = 1000
const FRESH_MS = 10 * 60 * 1000
/** Time for which the last good set is used while fetching fails. */
const LAST_GOOD_MS = 24 * 60 * 60 * 1000
/** Time limit of a fetch where the last good set is only old. */
const PATIENCE_MS = 500
/** Time limit of a fetch, behind the cooldown, where the last good set does not verify a token. */
const NEWER_MS = 1500
/** Bound on the tokens of strangers that wait for a fetch at the same time. */
const MAX_WAITING = 200

/** Origin of a token, which decides how much is done for it. */
export type TokenOrigin =
  /** Anybody may send it: a bearer or logout token, whose empty claims count as wrong ones. */
  | 'anybody'
  /** The provider answered it to a request of ours: empty claims count as absent (finding C21). */
  | 'provider'
  /** The same, while nobody waits: a key that is published a moment later is looked for again (fault F37). */
  | 'provider-in-background'

/** Keys of a provider, fetched when needed. */
export interface KeySet {
  /**
   * Verifies a token with the kept keys, and once more with newly fetched ones where none of them fits, or none made the
   * signature (findings C67, C70).
   */
  verify(token: string, options: JWTVerifyOptions, origin: TokenOrigin): Promise<VerifiedJwt>
  /** Whether the keys have ever been fetched. */
  readonly isFetched: boolean
}

/** Returns the key set at a URL, the same one for every caller. */
export type KeySets = (uri: string) => KeySet

/** Creates a registry of key sets; their URLs come from providers' metadata, never from a token (threat A81). */
export function createKeySets(fetch: ProviderFetch): KeySets {
  const keySets = new Map<string, KeySet>()
  return (uri) => keySets.getOrInsertComputed(uri, () => createKeySet(uri, fetch))
}

/** Creates a key set that is fetched on demand, and kept when fetching fails (fault F37). */
export function createKeySet(
  uri: string,
  fetch: ProviderFetch,
  now = () => performance.now(),
): KeySet {
  const fetched = createFetchedKeys(() => fetchKeys(uri, fetch), now)
  let waiting = 0

  /** Returns newer keys, and counts who waits for them. */
  async function newerThan(ms: number, origin: TokenOrigin): Promise<PublishedKeys> {
    if (origin === 'anybody') {
      // Strangers could wait without end while the provider fails (threat A85).
      const failure = fetched.lastFailure()
      if (failure !== undefined) throw failure
      if (waiting >= MAX_WAITING) throw keysUnavailable('provider')
    }
    waiting++
    return fetched.askedAfter(ms).finally(() => waiting--)
  }

  return {
    async verify(token, options, origin) {
      const receivedAtMs = now()
      const verify = origin === 'anybody' ? jwtVerify : verifyJwt
      const verifyWith = (keys: () => Promise<PublishedKeys>) =>
        verifyWithEach<VerifiedJwt>((key) => verify(token, key, options), keys)
      const withNewer = verifyWith(fetched.current).catch((fault: unknown) => {
        if (!isAboutKey(fault) || fetched.isAskedAfter(receivedAtMs)) throw fault
        return verifyWith(() => newerThan(receivedAtMs, origin))
      })
      if (origin !== 'provider-in-background') return withNewer
      return withNewer.catch((fault: unknown) => {
        if (!isUnknownKey(fault)) throw fault
        return verifyWith(() => newerThan(now(), origin))
      })
    },
    get isFetched() {
      return fetched.isFetched
    },
  }
}

interface FetchedKeys {
  /** Returns the last good keys where they are recent or newer ones cannot be had. */
  readonly current: () => Promise<PublishedKeys>
  /** Returns keys that were asked for after a time. */
  readonly askedAfter: (ms: number) => Promise<PublishedKeys>
  readonly isAskedAfter: (ms: number) => boolean
  /** Returns the failure of the last fetch during the cooldown, unless somebody waits for the next one. */
  readonly lastFailure: () => unknown
  readonly isFetched: boolean
}

function createFetchedKeys(fetchNow: () => Promise<PublishedKeys>, now: () => number): FetchedKeys {
  let lastGood: { readonly keys: PublishedKeys; readonly askedAtMs: number } | undefined
  let attemptedAtMs = Number.NEGATIVE_INFINITY
  let failure: unknown

  const leftMs = () => Math.max(0, attemptedAtMs + COOLDOWN_MS - now())
  const isAskedAfter = (ms: number) => lastGood !== undefined && lastGood.askedAtMs >= ms

  /** Joins the fetch in flight, or starts one. */
  function newer(): Promise<PublishedKeys> {
    const limitMs = leftMs() + NEWER_MS
    return within(run(), limitMs, providerTooSlow)
  }

  const flight = createSingleFlight(async () => {
    // Delays the fetch instead of refusing it, so that a token signed with a newer key is not lost (finding C70).
    if (leftMs() > 0) await pause(leftMs())
    const askedAtMs = now()
    attemptedAtMs = askedAtMs
    failure = undefined
    const keys = await fetchNow().catch((error: unknown) => {
      failure = error
      throw error
    })
    lastGood = { keys, askedAtMs }
    return keys
  })
  const { run } = flight

  return {
    async current() {
      const ageMs = lastGood ? now() - lastGood.askedAtMs : Number.POSITIVE_INFINITY
      if (!lastGood || ageMs >= LAST_GOOD_MS) return run()
      const kept = lastGood.keys
      if (ageMs < FRESH_MS || leftMs() > 0) return kept
      return within(run(), PATIENCE_MS, providerTooSlow).catch(() => kept)
    },
    async askedAfter(ms) {
      const joined = await newer()
      // A fetch that had begun before may lack the newest key.
      return isAskedAfter(ms) ? joined : newer()
    },
    isAskedAfter,
    lastFailure: () => (leftMs() > 0 && !flight.current ? failure : undefined),
    get isFetched() {
      return lastGood !== undefined
    },
  }
}

async function fetchKeys(uri: string, fetch: ProviderFetch): Promise<PublishedKeys> {
  const headers = { Accept: 'application/json, application/jwk-set+json' }
  const facts = { endpoint: 'jwks_uri', url: cleanUrl(uri) }
  const response = await fetch(uri, { headers }, { facts })
  if (response.status !== 200) {
    const found = { ...facts, http_status: response.status }
    throw new ProviderFault('the key set was not answered', undefined, found)
  }
  const keys = toPublishedKeys(await response.json())
  if (!keys) throw emptyKeySet(facts)
  return keys
}
