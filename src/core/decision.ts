import type { Access } from './access-rule.ts'
import { type Bearer, type BearerAccess, faultOf, type TokenFault } from './bearer.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { RequestClass } from './request-class.ts'
import type { EpochMs, Principal, Session } from './session.ts'
import type { Sites } from './site.ts'

/** Something that may be used once: its name in parts, and the moment from which it is refused anyway. */
export interface Spend {
  readonly kind: 'bearer' | 'dpop'
  readonly parts: readonly string[]
  readonly endsAt: EpochMs
}

/** What a token that was sent comes to; a proof of possession is spent by being let in. */
export type TokenEvidence =
  | { readonly kind: 'bearer'; readonly bearer: Bearer; readonly proof?: Spend }
  | { readonly kind: 'bad-bearer'; readonly fault: TokenFault }

/** What came with the request to prove who sent it. */
export type Evidence =
  | { readonly kind: 'none' }
  | { readonly kind: 'session'; readonly session: Session }
  | { readonly kind: 'ambiguous' }
  | TokenEvidence

/** The answer to "may this request pass, and who is it?". */
export type Verdict =
  /** Where something is to be spent, only the first who spends it passes. */
  | { readonly kind: 'allow'; readonly principal?: Principal; readonly spends?: readonly Spend[] }
  | { readonly kind: 'sign-in' }
  | { readonly kind: 'forbidden'; readonly session?: Session }
  | { readonly kind: 'reset-cookies' }
  /** Only a token helps; the fault is that of the one that was sent. */
  | { readonly kind: 'refuse-token'; readonly fault?: TokenFault }

/** Decides from parsed facts alone. Everything that is not plainly allowed is refused. */
export function decide(access: Access, requestClass: RequestClass, evidence: Evidence): Verdict {
  if (requestClass === 'preflight' && access.passesPreflight) return { kind: 'allow' }
  if (access.kind === 'public') return { kind: 'allow' }
  switch (evidence.kind) {
    case 'bearer':
      return access.bearer ? decideToken(access, access.bearer, evidence) : { kind: 'forbidden' }
    case 'bad-bearer':
      return { kind: 'refuse-token', fault: evidence.fault }
    default:
      return access.bearer?.isOneTime ? { kind: 'refuse-token' } : decideSession(access, evidence)
  }
}

function decideSession(access: Access, evidence: Exclude<Evidence, TokenEvidence>): Verdict {
  switch (evidence.kind) {
    case 'ambiguous':
      return { kind: 'reset-cookies' }
    case 'none':
      return access.kind === 'deny' ? { kind: 'forbidden' } : { kind: 'sign-in' }
    case 'session': {
      const { session } = evidence
      const permitted = access.kind === 'signed-in' && access.permits(session.identity)
      return permitted ? { kind: 'allow', principal: session } : { kind: 'forbidden', session }
    }
  }
}

function decideToken(
  access: Access,
  asked: BearerAccess,
  { bearer, proof }: TokenEvidence & { kind: 'bearer' },
): Verdict {
  const fault = faultOf(bearer, asked)
  if (fault) return { kind: 'refuse-token', fault }
  if (!access.permits(bearer.identity))
    return { kind: 'refuse-token', fault: { error: 'forbidden' } }
  if (!asked.isOneTime && !proof) return { kind: 'allow', principal: bearer }
  const spends = [...(proof ? [proof] : []), ...(asked.isOneTime ? [spendOf(bearer)] : [])]
  return { kind: 'allow', principal: bearer, spends }
}

function spendOf({ identity, jti = '', acceptedUntil }: Bearer): Spend {
  return { kind: 'bearer', parts: [identity.issuer, jti], endsAt: acceptedUntil }
}

/** Whether the answer depends on who asks; if not, no session is looked up. */
export function needsEvidence(access: Access, requestClass: RequestClass): boolean {
  return access.kind === 'signed-in' && !(requestClass === 'preflight' && access.passesPreflight)
}

/**
 * Whether a WebSocket handshake comes from a page of another site. Browsers send cookies with it and apply no
 * CORS, so this is the only place where cross-site hijacking can be stopped (threat A98).
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
