import {
  type CryptoKey,
  createLocalJWKSet,
  type JWK,
  type JWTHeaderParameters,
  type JWTVerifyGetKey,
} from 'jose'
import { isRecord } from '../../core/json.ts'
import { isAboutKey, unknownKey } from '../request/provider-errors.ts'

/** Bound on the keys that are tried for one token, because strangers send tokens too. */
const MAX_TRIES = 16
/** Shortest RSA key that jose verifies with (RFC 7518 section 3.3). */
const MIN_RSA_BITS = 2048

/** One key that a provider has published. */
interface PublishedKey {
  readonly kid: string | undefined
  /** Returns the key if it is usable for an algorithm; imports it once. */
  readonly importFor: (alg: string) => Promise<CryptoKey | undefined>
}

/** Keys that a provider has published at one time. */
export type PublishedKeys = readonly PublishedKey[]

/** Returns `undefined` for what is no key set, or one without keys. */
export function toPublishedKeys(set: unknown): PublishedKeys | undefined {
  const members = isRecord(set) ? set['keys'] : undefined
  const keys = Array.isArray(members) ? members.filter(isRecord).map(toPublishedKey) : []
  return keys.length === 0 ? undefined : keys
}

/**
 * Verifies a token with each key that fits, until one of them does (finding C27). `verify` asks for a key when the token
 * has the form of one.
 */
export async function verifyWithEach<Verified>(
  verify: (key: JWTVerifyGetKey) => Promise<Verified>,
  keys: () => Promise<PublishedKeys>,
): Promise<Verified> {
  let fitting: readonly CryptoKey[] = []
  let tried = 0
  let isNamed = false
  const nextKey = async (header: JWTHeaderParameters): Promise<CryptoKey> => {
    if (tried === 0) {
      const published = await keys()
      fitting = await fittingKeys(header, published)
      isNamed = published.some(({ kid }) => kid !== undefined && kid === header.kid)
    }
    const key = fitting[tried++]
    if (!key) throw unknownKey()
    return key
  }
  for (;;) {
    try {
      return await verify(nextKey)
    } catch (error) {
      if (!isAboutKey(error)) throw error
      if (tried < fitting.length) continue
      // Without its id, the key may be one that is published a moment later.
      throw isNamed ? error : unknownKey()
    }
  }
}

async function fittingKeys(
  { alg, kid }: JWTHeaderParameters,
  keys: PublishedKeys,
): Promise<readonly CryptoKey[]> {
  const fitting: CryptoKey[] = []
  for (const { importFor } of namedBy(kid, keys)) {
    const key = await importFor(alg)
    if (key && !isTooShort(key)) fitting.push(key)
    if (fitting.length === MAX_TRIES) break
  }
  return fitting
}

/** Returns the keys of this id and then those without an id; all keys where the token names none. */
function namedBy(kid: unknown, keys: PublishedKeys): PublishedKeys {
  if (kid === undefined || kid === null || kid === '') return keys
  const having = (id: unknown) => keys.filter((key) => key.kid === id)
  return [...having(kid), ...having(undefined)]
}

function toPublishedKey(member: Readonly<Record<string, unknown>>): PublishedKey {
  // Null means absent, and the id is compared above.
  const { kid, ...jwk } = Object.fromEntries(
    Object.entries(member).filter(([, value]) => value !== null),
  ) as JWK
  const find = localSetOf(jwk)
  return {
    kid: kid === '' ? undefined : kid,
    importFor: async (alg) => find?.({ alg }).catch(() => undefined),
  }
}

/** Makes a set of each key, so that an unusable key does not make the others unusable. */
function localSetOf(jwk: JWK): ReturnType<typeof createLocalJWKSet> | undefined {
  try {
    return createLocalJWKSet({ keys: [jwk] })
  } catch {
    return undefined
  }
}

function isTooShort({ algorithm }: CryptoKey): boolean {
  return 'modulusLength' in algorithm && Number(algorithm.modulusLength) < MIN_RSA_BITS
}
