import { decodeJwt, type JWTPayload } from 'jose'
import { LRUCache } from 'lru-cache'
import { type Bearer, invalidToken, type TokenFault, type TokenType } from '../core/bearer.ts'
import { isText } from '../core/claims.ts'
import type { TokenEvidence } from '../core/decision.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { IdentityOptions } from '../core/read-identity.ts'
import { SIGNING_ALGORITHMS } from '../core/signing-algorithms.ts'
import { sha256 } from '../crypto/digest.ts'
import { isVerificationFailure, keysUnavailable } from '../oidc/failure/translate.ts'
import { isExpired } from '../oidc/request/provider-errors.ts'
import {
  CLOCK_TOLERANCE_SECONDS,
  hasUsableSubject,
  isReasonable,
} from '../oidc/tokens/token-rules.ts'
import { listOf, thumbprintOf, toBearer } from './to-bearer.ts'
import type { TrustedIssuers } from './trusted-issuers.ts'

/** Verifies bearer tokens independently of rules (RFC 8725, RFC 9068); `core/bearer.ts` applies a rule's conditions. */
export interface BearerVerifier {
  /** Returns a token from the cache without I/O; `undefined` means a cache miss, not an invalid token. */
  recall(token: string): Bearer | undefined
  /** Throws `AuthError` `provider_unavailable` when the issuer's keys cannot be fetched. */
  verify(token: string): Promise<TokenEvidence>
  /** Empties the cache; a token that is being verified meanwhile is not kept, because it was read for the rules before. */
  clear(): void
  readonly size: number
}

export interface BearerVerifierOptions {
  readonly issuers: TrustedIssuers
  /** Valid tokens that operators have denied, as known to this replica. */
  readonly denied: {
    includes(issuer: string, jti: string): boolean
    /** Resolves when the list has been read, or could not be read in time. */
    readonly initialLoad: Promise<void>
  }
  /** Client id of Vestibule; a token for it counts as an ID token unless its `typ` is `at+jwt`. */
  readonly clientId: string
  readonly identity: IdentityOptions
  /** True where apps are given the token. */
  readonly withAccessToken: boolean
  readonly now: () => EpochMs
}

const CACHE = { max: 10_000, maxSize: 16 * 1024 * 1024 }
const CACHE_MAX_MS = 5 * 60 * 1000
/** Estimates a verified token: its digest and places in two maps, and its claims as objects and prepared headers. */
const ENTRY_BYTES = 1000
const BYTES_PER_CHARACTER = 4
/** Resolution of the cache's clock, to read the clock less often than once for each lookup. */
const CLOCK_RESOLUTION_MS = 50

/** Caches valid tokens only, by their digest, so that a dump shows none and a flood of bad ones displaces none. */
export function createBearerVerifier(options: BearerVerifierOptions): BearerVerifier {
  const { denied, now } = options
  const verified = new LRUCache<string, Bearer>({ ...CACHE, ttlResolution: CLOCK_RESOLUTION_MS })
  let clearings = 0

  function keep(token: string, bearer: Bearer): void {
    const ttl = Math.min(bearer.acceptedUntil - now(), CACHE_MAX_MS)
    if (ttl >= 1)
      verified.set(sha256(token), bearer, {
        ttl,
        size: ENTRY_BYTES + BYTES_PER_CHARACTER * token.length,
      })
  }

  const isDenied = ({ identity, jti }: Bearer) =>
    jti !== undefined && denied.includes(identity.issuer, jti)

  return {
    recall(token) {
      const bearer = verified.get(sha256(token))
      return bearer && !isDenied(bearer) ? bearer : undefined
    },
    clear() {
      clearings++
      verified.clear()
    },
    get size() {
      return verified.size
    },
    async verify(token) {
      const before = clearings
      const evidence = await verifyToken(token, options)
      if (evidence.kind === 'bad-bearer') return evidence
      await denied.initialLoad
      if (isDenied(evidence.bearer)) return refused(REVOKED)
      if (clearings === before) keep(token, evidence.bearer)
      return evidence
    },
  }
}

async function verifyToken(
  token: string,
  { issuers, clientId, identity, withAccessToken, now }: BearerVerifierOptions,
): Promise<TokenEvidence> {
  const issuer = claimedIssuer(token)
  const verify = issuer === undefined ? undefined : issuers.verifierOf(issuer)
  if (issuer === undefined || !verify) return refused(UNTRUSTED)
  const nowMs = now()
  const verified = await verify(token, {
    issuer,
    algorithms: [...SIGNING_ALGORITHMS],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    currentDate: new Date(nowMs),
    requiredClaims: ['sub', 'exp', 'aud'],
  }).then((result) => ({ kind: 'verified' as const, ...result }), refusedFor)
  if (verified.kind !== 'verified') return verified
  const { payload, protectedHeader } = verified
  const type = typeOf(payload, protectedHeader.typ, clientId)
  if (type === undefined) return refused(WRONG_TYPE)
  const fault = faultOfClaims(payload, nowMs / 1000)
  if (fault) return refused(fault)
  const bearer = {
    ...toBearer(payload, type, identity),
    ...(withAccessToken && { accessToken: { value: token } }),
  }
  return { kind: 'bearer', bearer }
}

type Refused = TokenEvidence & { readonly kind: 'bad-bearer' }

const UNTRUSTED = invalidToken('the issuer is not trusted')
const WRONG_TYPE = invalidToken('the token is not an access token')
const EXPIRED = invalidToken('the token has expired')
const NOT_VALID = invalidToken('the token is not valid')
const REVOKED = invalidToken('the token has been revoked')

function refused(fault: TokenFault): Refused {
  return { kind: 'bad-bearer', fault }
}

/** Returns the unverified `iss`, which only selects among the configured issuers. */
function claimedIssuer(token: string): string | undefined {
  try {
    const { iss } = decodeJwt(token)
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

/** Returns the refusal for a token that fails verification. Throws where that could not be found out. */
function refusedFor(cause: unknown): Refused {
  if (!isVerificationFailure(cause)) throw keysUnavailable('issuer', cause)
  return refused(isExpired(cause) ? EXPIRED : NOT_VALID)
}

/**
 * Returns `at+jwt` for a token with the claims that RFC 9068 section 2.2 requires. Refuses an untyped token that may be
 * an ID token, which has a nonce or our client as audience (RFC 8725 section 3.11, threat A83).
 */
function typeOf(claims: JWTPayload, typ: unknown, clientId: string): TokenType | undefined {
  const { iat, jti, client_id, nonce } = claims
  switch (typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ) {
    case 'at+jwt':
      return iat !== undefined && isText(jti) && isText(client_id) ? 'at+jwt' : undefined
    case 'jwt':
    case undefined:
      return nonce === undefined && !listOf(claims.aud).includes(clientId) ? 'jwt' : undefined
    default:
      return undefined
  }
}

function faultOfClaims(claims: JWTPayload, nowSeconds: number): TokenFault | undefined {
  const { exp = 0, iat = 0 } = claims
  const isFromFuture = iat > nowSeconds + CLOCK_TOLERANCE_SECONDS
  if (isFromFuture || !isReasonable(exp - nowSeconds)) return NOT_VALID
  return hasUsableSubject(claims) && isConfirmable(claims['cnf']) ? undefined : NOT_VALID
}

/** Accepts no binding but `jkt`, because a bound token would pass as a plain bearer token otherwise. */
function isConfirmable(cnf: unknown): boolean {
  return (
    cnf === undefined ||
    (thumbprintOf(cnf) !== undefined && Object.keys(cnf as object).length === 1)
  )
}
