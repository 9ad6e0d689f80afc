import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { type Bearer, invalidToken, type TokenFault, type TokenType } from '../core/bearer.ts'
import type { TokenEvidence } from '../core/decision.ts'
import { type IdentityOptions, toIdentity } from '../core/identity.ts'
import { sha256 } from '../crypto/digest.ts'
import { AuthError } from '../errors.ts'
import { CLOCK_TOLERANCE_SECONDS } from '../oidc/provider.ts'
import { ALGORITHMS, hasUsableSubject, isReasonable, isText } from '../oidc/token-rules.ts'
import { meaningOf } from '../oidc/translate.ts'
import type { TrustedIssuers } from './trusted-issuers.ts'

/** Verifies tokens for all rules alike (RFC 8725, RFC 9068); what a rule asks beyond that is the rule's to judge. */
export interface BearerVerifier {
  /** A token that was verified a moment ago: no I/O, no promise. Nothing does not mean that it is not valid. */
  recall(token: string): Bearer | undefined
  /** Throws `AuthError` `provider_unavailable` when the issuer's keys cannot be had. */
  verify(token: string): Promise<TokenEvidence>
  /** Forgets what has been verified. */
  clear(): void
  readonly size: number
}

export interface BearerVerifierOptions {
  readonly issuers: TrustedIssuers
  /** Tokens that are valid and do not count, by what is known here. */
  readonly denied: {
    includes(issuer: string, jti: string): boolean
    /** Resolves when there is something to go by. */
    readonly initialLoad: Promise<void>
  }
  /** Of our own client: a token for it is an ID token, unless it says that it is none. */
  readonly clientId: string
  readonly identity: IdentityOptions
  /** Whether apps are given the token. */
  readonly withAccessToken: boolean
  readonly now: () => number
}

const CACHE = { max: 10_000, maxSize: 64 * 1024 * 1024 }
const CACHE_MAX_MS = 5 * 60 * 1000
/** How old the cache's idea of the time may be; asking the clock for every lookup costs more than the lookup. */
const CLOCK_RESOLUTION_MS = 50

/** Only tokens that are good are remembered, by their digest, so that a dump shows none and a flood displaces none. */
export function createBearerVerifier(options: BearerVerifierOptions): BearerVerifier {
  const { issuers, denied, now } = options
  const verified = new LRUCache<string, Bearer>({ ...CACHE, ttlResolution: CLOCK_RESOLUTION_MS })

  function keep(token: string, bearer: Bearer): void {
    const ttl = Math.min(bearer.acceptedUntil - now(), CACHE_MAX_MS)
    if (ttl >= 1) verified.set(sha256(token), bearer, { ttl, size: 1000 + 4 * token.length })
  }

  const isDenied = ({ identity, jti }: Bearer) =>
    jti !== undefined && denied.includes(identity.issuer, jti)

  return {
    recall(token) {
      const bearer = verified.get(sha256(token))
      return bearer && !isDenied(bearer) ? bearer : undefined
    },
    clear: () => verified.clear(),
    get size() {
      return verified.size
    },

    async verify(token) {
      const issuer = claimedIssuer(token)
      const keys = issuer === undefined ? undefined : issuers.keysOf(issuer)
      if (issuer === undefined || !keys) return refused(UNTRUSTED)
      const nowMs = now()
      const result = await jwtVerify(token, keys, {
        issuer,
        algorithms: [...ALGORITHMS],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(nowMs),
        requiredClaims: ['sub', 'exp', 'aud'],
      }).catch(faultOfError)
      if ('error' in result) return refused(result)
      const { payload, protectedHeader } = result
      const type = typeOf(payload, protectedHeader.typ, options.clientId)
      if (type === undefined) return refused(WRONG_TYPE)
      const fault = faultOfClaims(payload, nowMs / 1000)
      if (fault) return refused(fault)
      const bearer: Bearer = {
        ...toBearer(payload, type, options.identity),
        ...(options.withAccessToken && { accessToken: { value: token } }),
      }
      await denied.initialLoad
      if (isDenied(bearer)) return refused(REVOKED)
      keep(token, bearer)
      return { kind: 'bearer', bearer }
    },
  }
}

const UNTRUSTED = invalidToken('the issuer is not trusted')
const WRONG_TYPE = invalidToken('the token is not an access token')
const EXPIRED = invalidToken('the token has expired')
const NOT_VALID = invalidToken('the token is not valid')
const REVOKED = invalidToken('the token has been revoked')

function refused(fault: TokenFault): TokenEvidence {
  return { kind: 'bad-bearer', fault }
}

/** Read before anything is verified, to choose among the issuers that are known already. */
function claimedIssuer(token: string): string | undefined {
  try {
    const { iss } = decodeJwt(token)
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

function faultOfError(cause: unknown): TokenFault {
  if (meaningOf(cause) !== 'sign_in_failed') {
    throw new AuthError('provider_unavailable', 'the keys of the issuer could not be had', {
      cause,
    })
  }
  return cause instanceof errors.JWTExpired ? EXPIRED : NOT_VALID
}

/**
 * `at+jwt` carries what RFC 9068 section 2.2 asks for. A token without such a mark must not be an ID token, which has
 * a nonce or is for our client (RFC 8725 section 3.11, threat A83).
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

/** A binding that cannot be checked here would make a bound token one that anybody may bear. */
function isConfirmable(cnf: unknown): boolean {
  return (
    cnf === undefined ||
    (thumbprintOf(cnf) !== undefined && Object.keys(cnf as object).length === 1)
  )
}

function thumbprintOf(cnf: unknown): string | undefined {
  const jkt = typeof cnf === 'object' && cnf !== null && 'jkt' in cnf ? cnf.jkt : undefined
  return isText(jkt) ? jkt : undefined
}

function toBearer(claims: JWTPayload, type: TokenType, identity: IdentityOptions): Bearer {
  const { iat, jti, exp = 0 } = claims
  const keyThumbprint = thumbprintOf(claims['cnf'])
  return {
    identity: toIdentity(claims, identity),
    type,
    audiences: listOf(claims.aud),
    scopes: new Set(scopesOf(claims)),
    claims,
    acceptedUntil: (exp + CLOCK_TOLERANCE_SECONDS) * 1000,
    ...(iat !== undefined && { lifeSeconds: exp - iat }),
    ...(isText(jti) && { jti }),
    ...(keyThumbprint !== undefined && { keyThumbprint }),
  }
}

/** `scope` by RFC 9068 and RFC 8693; `scp` is what some providers write instead, as text or list. */
function scopesOf({ scope, scp }: JWTPayload): readonly string[] {
  const given = typeof scope === 'string' ? scope : scp
  return listOf(given).flatMap((each) => each.split(' '))
}

function listOf(claim: unknown): readonly string[] {
  const members: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return members.filter((member) => typeof member === 'string')
}
