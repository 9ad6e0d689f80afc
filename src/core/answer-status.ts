import type { TokenFault } from './bearer.ts'
import type { Verdict } from './decision.ts'
import { type RequestClass, showsPage } from './request-class.ts'

/** Returns the status with which the check answers a verdict. */
export function answerStatus(verdict: Verdict, requestClass: RequestClass): number {
  switch (verdict.kind) {
    case 'allow':
      return 200
    case 'sign-in':
      return signInStatus(requestClass)
    case 'forbidden':
      return 403
    case 'reset-cookies':
      return showsPage(requestClass) ? 400 : 401
    case 'refuse-token':
      return tokenStatus(verdict.fault)
  }
}

/** Returns the status for a visitor who is not signed in; only a navigation is sent to sign in. */
export function signInStatus(requestClass: RequestClass): 302 | 303 | 401 {
  if (requestClass === 'navigation') return 302
  return requestClass === 'form-navigation' ? 303 : 401
}

/** Returns the status for a program whose token, or want of one, is at fault (RFC 6750 section 3.1). */
export function tokenStatus(fault: TokenFault | undefined): 401 | 403 {
  return fault?.error === 'insufficient_scope' || fault?.error === 'forbidden' ? 403 : 401
}
