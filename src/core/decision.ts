import type { Access, SignedInAccess } from './access/access-rule.ts'
import type { Requester } from './access/condition.ts'
import { type Bearer, type BearerAccess, faultOf, type TokenFault } from './bearer.ts'
import type { EpochMs } from './epoch-ms.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { RequestClass } from './request-class.ts'
import type { Principal, Session } from './session.ts'
import type { Sites } from './site.ts'

/** Credential that may be used once: its name in parts, and the time after which it is refused anyway. */
export interface Spend {
  readonly kind: 'bearer' | 'dpop'
  readonly parts: readonly string[]
  readonly endsAt: EpochMs
}

/** Result of verifying a presented token, with the DPoP proof to spend on success. */
export type TokenEvidence =
  | { readonly kind: 'bearer'; readonly bearer: Bearer; readonly proof?: Spend }
  | { readonly kind: 'bad-bearer'; readonly fault: TokenFault }

/** Credentials presented with a request, after verification. */
export type Evidence =
  | { readonly kind: 'none' }
  | { readonly kind: 'session'; readonly session: Session }
  | { readonly kind: 'ambiguous' }
  | TokenEvidence

/** Outcome of a check. */
export type Verdict =
  /** `spends` must be spent first; a request that finds any of them spent is refused. */
  | { readonly kind: 'allow'; readonly principal?: Principal; readonly spends?: readonly Spend[] }
  | { readonly kind: 'sign-in' }
  | { readonly kind: 'forbidden'; readonly session?: Session }
  | { readonly kind: 'reset-cookies' }
  /** Refusal that asks for a token, with the fault of the presented one. */
  | { readonly kind: 'refuse-token'; readonly fault?: TokenFault }

/**
 * Decides without I/O, and fails closed: refuses whatever is not explicitly allowed. `address` is the client's, where the
 * access needs it.
 */
export function decide(
  access: Access,
  requestClass: RequestClass,
  evidence: Evidence,
  address?: string,
): Verdict {
  switch (access.kind) {
    case 'public':
      return { kind: 'allow' }
    case 'optional':
      return evidence.kind === 'session'
        ? { kind: 'allow', principal: evidence.session }
        : { kind: 'allow' }
    case 'deny':
      return { kind: 'forbidden' }
    case 'signed-in':
      return isPassedPreflight(access, requestClass)
        ? { kind: 'allow' }
        : decideSignedIn(access, evidence, address)
  }
}

function isPassedPreflight(access: SignedInAccess, requestClass: RequestClass): boolean {
  return requestClass === 'preflight' && access.passesPreflight
}

function decideSignedIn(
  access: SignedInAccess,
  evidence: Evidence,
  address: string | undefined,
): Verdict {
  switch (evidence.kind) {
    case 'bearer':
      return access.bearer
        ? decideToken(access, access.bearer, evidence, address)
        : { kind: 'forbidden' }
    case 'bad-bearer':
      return { kind: 'refuse-token', fault: evidence.fault }
    case 'ambiguous':
    case 'none':
    case 'session':
      return access.bearer?.isOneTime
        ? { kind: 'refuse-token' }
        : decideSession(access, evidence, address)
  }
}

function decideSession(
  access: SignedInAccess,
  evidence: Exclude<Evidence, TokenEvidence>,
  address: string | undefined,
): Verdict {
  switch (evidence.kind) {
    case 'ambiguous':
      return { kind: 'reset-cookies' }
    case 'none':
      return { kind: 'sign-in' }
    case 'session': {
      const { session } = evidence
      return access.permits(requesterOf(session, address))
        ? { kind: 'allow', principal: session }
        : { kind: 'forbidden', session }
    }
  }
}

function decideToken(
  access: SignedInAccess,
  tokens: BearerAccess,
  { bearer, proof }: TokenEvidence & { kind: 'bearer' },
  address: string | undefined,
): Verdict {
  const fault = faultOf(bearer, tokens)
  if (fault) return { kind: 'refuse-token', fault }
  if (!access.permits(requesterOf(bearer, address)))
    return { kind: 'refuse-token', fault: { error: 'forbidden' } }
  if (!tokens.isOneTime && !proof) return { kind: 'allow', principal: bearer }
  const spends = [...(proof ? [proof] : []), ...(tokens.isOneTime ? [spendOf(bearer)] : [])]
  return { kind: 'allow', principal: bearer, spends }
}

function requesterOf(principal: Principal, address: string | undefined): Requester {
  return address === undefined ? principal : { identity: principal.identity, address }
}

function spendOf({ identity, jti = '', acceptedUntil }: Bearer): Spend {
  return { kind: 'bearer', parts: [identity.issuer, jti], endsAt: acceptedUntil }
}

/** Returns whether the answer depends on credentials; where it does not, no session is looked up. */
export function needsEvidence(access: Access, requestClass: RequestClass): boolean {
  switch (access.kind) {
    case 'public':
    case 'deny':
      return false
    case 'optional':
      return requestClass !== 'preflight'
    case 'signed-in':
      return !isPassedPreflight(access, requestClass)
  }
}

/**
 * Returns whether a WebSocket handshake comes from a page of another site. Refused, because browsers send cookies with
 * a handshake and apply no CORS to it (cross-site WebSocket hijacking, threat A98).
 */
export function isForeignOrigin(
  origin: string | undefined,
  request: ForwardedRequest,
  sites: Sites,
): boolean {
  if (origin === undefined || origin === request.site.origin) return false
  const url = URL.parse(origin)
  return !url || sites.find(url.host)?.origin !== url.origin
}
