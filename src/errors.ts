/** Every refusal and failure that can reach a visitor; `app.ts` maps each code to one status. */
export type AuthErrorCode =
  | 'invalid_request'
  | 'hidden_dots'
  | 'foreign_host'
  | 'alias_header'
  | 'method_not_allowed'
  | 'untrusted_peer'
  | 'sign_in_router'
  | 'foreign_origin'
  | 'claims_too_large'
  | 'unusable_token'
  | 'invalid_return_to'
  | 'sign_in_failed'
  | 'store_unavailable'
  | 'provider_unavailable'
  | 'provider_failed'
  | 'busy'
  | 'internal'

/**
 * The one error class. `message` is for the log and for people who run the service; what a visitor reads
 * is decided by the code alone, except where `isPublic` says that the message helps and gives nothing away.
 */
export class AuthError extends Error {
  readonly code: AuthErrorCode
  readonly isPublic: boolean

  constructor(
    code: AuthErrorCode,
    message: string,
    options: { cause?: unknown; isPublic?: boolean } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'AuthError'
    this.code = code
    this.isPublic = options.isPublic ?? false
  }
}

/**
 * Reports that the store cannot be reached or cannot work just now, so that what was known a moment ago may stand in for
 * it. Nothing stands in for any other `AuthError` `store_unavailable`.
 */
export class OutageError extends AuthError {
  constructor(message: string, cause: unknown) {
    super('store_unavailable', message, { cause })
    this.name = 'OutageError'
  }
}

/** A refused request: the message names what is wrong with it and is shown to the caller. */
export function invalidRequest(message: string): AuthError {
  return new AuthError('invalid_request', message, { isPublic: true })
}
