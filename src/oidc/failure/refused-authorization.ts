import { AuthError, type AuthErrorCode } from '../../errors.ts'
import { type FailedRequest, failureFacts, reasonOf } from './failure-facts.ts'
import { isPassing } from './final-answers.ts'

/**
 * Errors that the settings cause: of RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6 and RFC 8707, and what
 * providers call them otherwise.
 */
const FAULTS_OF_SETTINGS: ReadonlySet<string> = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_redirect_uri',
  'unsupported_response_mode',
  'invalid_resource',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'invalid_target',
  'request_not_supported',
  'request_uri_not_supported',
  'registration_not_supported',
])

/** Returns the error for what the provider answered instead of a code; its words are for the log alone (threat A59). */
export function refusedAuthorization(
  error: string,
  description: string | undefined,
  metadata: FailedRequest['metadata'],
): AuthError {
  const named = { error: error.trim() || 'an error without a name', isJson: false }
  const answer = description === undefined ? named : { ...named, description }
  const facts = failureFacts(undefined, answer, {
    endpoint: 'authorization_endpoint',
    ...(metadata && { metadata }),
  })
  return new AuthError(authErrorCodeOf(error), reasonOf(undefined, facts), { facts })
}

function authErrorCodeOf(error: string): AuthErrorCode {
  if (isPassing({ error })) return 'provider_unavailable'
  if (error === 'access_denied') return 'access_denied'
  return FAULTS_OF_SETTINGS.has(error) ? 'sign_in_refused' : 'sign_in_failed'
}
