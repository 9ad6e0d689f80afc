import type { AuthError } from '../errors.ts'
import { badRequestPage, internalErrorPage, type PageContent } from './pages/pages.ts'
import {
  brokenProviderPage,
  misconfiguredPage,
  refusedPage,
  signInFailedPage,
  unavailablePage,
} from './pages/sign-in-pages.ts'

/** Links that an error page may have. */
export interface ErrorPageContext {
  readonly loginUrl?: string
  readonly switchUserUrl?: string
  readonly retryUrl: string | undefined
  readonly newLoginUrl: string | undefined
  readonly mayReload: boolean
}

/** Returns the page of an error, which tells a visitor whose fault it is (finding C53). */
export function errorPage(error: AuthError, context: ErrorPageContext): PageContent {
  const { loginUrl, switchUserUrl, retryUrl, newLoginUrl, mayReload } = context
  switch (error.code) {
    case 'sign_in_failed':
      return signInFailedPage(loginUrl, retryUrl, error.facts.setting === 'SESSION_ENCRYPTION_KEY')
    case 'access_denied':
      return refusedPage(loginUrl, switchUserUrl)
    case 'sign_in_refused':
    case 'sign_in_misconfigured':
      return misconfiguredPage(loginUrl)
    case 'provider_failed':
      return brokenProviderPage(loginUrl, newLoginUrl)
    case 'store_unavailable':
    case 'provider_unavailable':
    case 'busy':
      return unavailablePage(mayReload, newLoginUrl, error.isPublic ? error.message : undefined)
    case 'internal':
      return internalErrorPage()
    case 'foreign_host':
    case 'untrusted_peer':
    case 'client_certificate':
    case 'sign_in_router':
    case 'unknown_policy':
    case 'claims_too_large':
    case 'unusable_token':
      return badRequestPage(error.isPublic ? error.message : REFUSED, OPERATOR)
    case 'invalid_request':
      return badRequestPage(
        error.isPublic ? error.message : REFUSED,
        error.facts.setting === undefined ? undefined : OPERATOR,
      )
    case 'hidden_dots':
    case 'alias_header':
    case 'method_not_allowed':
    case 'foreign_origin':
    case 'invalid_return_to':
      return badRequestPage(error.isPublic ? error.message : REFUSED)
  }
}

const REFUSED = 'The request was refused.'
const OPERATOR =
  'This is not your fault. Please tell the operator of this site, with the request number below.'
