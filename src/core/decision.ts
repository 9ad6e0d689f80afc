import type { Access } from './access-rule.ts'
import type { ForwardedRequest } from './forwarded-request.ts'
import type { RequestClass } from './request-class.ts'
import type { Session } from './session.ts'
import type { Sites } from './site.ts'

/** What came with the request to prove who sent it. */
export type Evidence =
  | { readonly kind: 'none' }
  | { readonly kind: 'session'; readonly session: Session }
  | { readonly kind: 'ambiguous' }

/** The answer to "may this request pass, and who is it?". */
export type Verdict =
  | { readonly kind: 'allow'; readonly session?: Session }
  | { readonly kind: 'sign-in' }
  | { readonly kind: 'forbidden'; readonly session?: Session }
  | { readonly kind: 'reset-cookies' }

/** Decides from parsed facts alone. Everything that is not plainly allowed is refused. */
export function decide(access: Access, requestClass: RequestClass, evidence: Evidence): Verdict {
  if (requestClass === 'preflight' && access.passesPreflight) return { kind: 'allow' }
  if (access.kind === 'public') return { kind: 'allow' }
  switch (evidence.kind) {
    case 'ambiguous':
      return { kind: 'reset-cookies' }
    case 'none':
      return access.kind === 'deny' ? { kind: 'forbidden' } : { kind: 'sign-in' }
    case 'session': {
      const { session } = evidence
      const permitted = access.kind === 'signed-in' && access.permits(session.identity)
      return permitted ? { kind: 'allow', session } : { kind: 'forbidden', session }
    }
  }
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
