import { randomBytes } from 'node:crypto'
import type { VerifyProof } from '../../bearer/dpop-proof.ts'
import type { BearerVerifier } from '../../bearer/verify-bearer.ts'
import { allowsDegraded } from '../../core/access/access-rule.ts'
import type { PresentedToken } from '../../core/authorization.ts'
import { type Bearer, invalidToken, type TokenFault } from '../../core/bearer.ts'
import { isCompactJws } from '../../core/compact-jws.ts'
import type { Spend, TokenEvidence } from '../../core/decision.ts'
import type { EpochMs } from '../../core/epoch-ms.ts'
import { digestOfParts } from '../../crypto/digest.ts'
import { AuthError } from '../../errors.ts'
import type { ConsumptionKind, OneTimeKeys } from '../../store/one-time-keys.ts'
import type { CheckedRequest } from './checked-request.ts'
import type { FoundEvidence } from './found-evidence.ts'

/** Verifies tokens before the decision and spends them after it. */
export interface TokenCheck {
  /**
   * Verifies a token and its proof; returns no promise on a cache hit. Throws `AuthError` `store_unavailable` where the
   * rule has `degraded: deny` and the token may be denied without being known here.
   */
  examine(
    presented: PresentedToken,
    checked: CheckedRequest,
  ): FoundEvidence | Promise<FoundEvidence>
  /** Spends one-time tokens and proofs; resolves to the fault where one has been spent before. */
  spend(spends: readonly Spend[]): Promise<TokenFault | undefined>
}

export interface TokenCheckOptions {
  readonly verifier: BearerVerifier
  readonly verifyProof: VerifyProof
  readonly oneTimeKeys: OneTimeKeys
  /** Denied tokens, as known to this replica. */
  readonly denied: { readonly isCurrent: boolean }
  /** Time after which a check fails closed with `store_unavailable`, which is never a first use. */
  readonly storeTimeoutMs: number
  readonly onReplay: (kind: ConsumptionKind) => void
  readonly now: () => EpochMs
}

const ATTEMPT_ID_BYTES = 16

/** Creates a check of `Bearer` and `DPoP` credentials (RFC 6750, RFC 9449 section 7). */
export function createTokenCheck(options: TokenCheckOptions): TokenCheck {
  const { verifier, verifyProof, oneTimeKeys, denied, now } = options

  async function prove(
    token: string,
    evidence: TokenEvidence,
    { request: { method, site, path }, raw }: CheckedRequest,
  ): Promise<TokenEvidence> {
    if (evidence.kind === 'bad-bearer') return evidence
    const { bearer } = evidence
    if (bearer.keyThumbprint === undefined) return refused(NOT_BOUND)
    // Node joins repeated headers with a comma, which makes the proof invalid.
    const { dpop } = raw.headers
    const proof = await verifyProof(typeof dpop === 'string' ? dpop : '', {
      method,
      url: site.origin + path,
      token,
      keyThumbprint: bearer.keyThumbprint,
    })
    return proof ? { kind: 'bearer', bearer, proof } : refused(NOT_PROVEN)
  }

  async function verify(
    scheme: PresentedToken['scheme'],
    token: string,
    known: Bearer | undefined,
    checked: CheckedRequest,
  ): Promise<FoundEvidence> {
    const evidence: TokenEvidence = known
      ? { kind: 'bearer', bearer: known }
      : await verifier.verify(token)
    return found(scheme === 'DPoP' ? await prove(token, evidence, checked) : asSent(evidence))
  }

  /** Releases what a failed attempt may have spent, because Redis may carry a command out late (fault F02). */
  function giveBack(spends: readonly Spend[], attemptId: string): void {
    for (const { kind, parts } of spends) {
      oneTimeKeys.release({ kind, key: digestOfParts(...parts), attemptId }).catch(() => undefined)
    }
  }

  return {
    examine({ scheme, token }, checked) {
      const known = token === undefined ? undefined : verifier.recall(token)
      // Looks at the form of unknown tokens only, because a known one has been verified.
      if (token === undefined || (!known && !isCompactJws(token))) return found(refused(MALFORMED))
      if (!allowsDegraded(checked.access) && !denied.isCurrent) throw mayBeDenied()
      return known && scheme === 'Bearer'
        ? found(asSent({ kind: 'bearer', bearer: known }))
        : verify(scheme, token, known, checked)
    },

    async spend(spends) {
      const attemptId = randomBytes(ATTEMPT_ID_BYTES).toString('base64url')
      try {
        for (const { kind, parts, endsAt } of spends) {
          const ttlMs = Math.max(1, endsAt - now())
          const attempt = { kind, key: digestOfParts(...parts), attemptId }
          if (await oneTimeKeys.consume(attempt, ttlMs, options.storeTimeoutMs)) continue
          options.onReplay(kind)
          return USED[kind]
        }
        return undefined
      } catch (error) {
        giveBack(spends, attemptId)
        throw error
      }
    },
  }
}

function mayBeDenied(): AuthError {
  return new AuthError('store_unavailable', 'the list of denied tokens may be out of date')
}

const MALFORMED = invalidToken('the token is malformed')
const BOUND = invalidToken('the token is bound to a key and needs a proof')
const NOT_BOUND = invalidToken('the token is not bound to a key')
const NOT_PROVEN: TokenFault = {
  error: 'invalid_dpop_proof',
  description: 'the proof is not valid for this request',
}
const USED: Readonly<Record<Spend['kind'], TokenFault>> = {
  bearer: invalidToken('the token has been used before'),
  dpop: { error: 'invalid_dpop_proof', description: 'the proof has been used before' },
}

/** Refuses a key-bound token that is sent as a plain bearer token (RFC 9449 section 7.2). */
function asSent(evidence: TokenEvidence): TokenEvidence {
  const isBound = evidence.kind === 'bearer' && evidence.bearer.keyThumbprint !== undefined
  return isBound ? refused(BOUND) : evidence
}

function found(evidence: TokenEvidence): FoundEvidence {
  return { evidence, source: 'bearer' }
}

function refused(fault: TokenFault): TokenEvidence {
  return { kind: 'bad-bearer', fault }
}
