/**
 * Codes of refusals and failures that are thrown; `app.ts` maps each to one status. The check answers its verdicts itself, and a
 * back-channel logout answers 400 to all of them (OpenID Connect Back-Channel Logout 1.0 section 2.8).
 */
export type AuthErrorCode =
  | 'invalid_request'
  | 'hidden_dots'
  | 'foreign_host'
  | 'alias_header'
  | 'method_not_allowed'
  | 'untrusted_peer'
  | 'client_certificate'
  | 'sign_in_router'
  | 'foreign_origin'
  | 'unknown_policy'
  | 'claims_too_large'
  | 'unusable_token'
  | 'invalid_return_to'
  | 'sign_in_failed'
  | 'access_denied'
  | 'sign_in_refused'
  | 'sign_in_misconfigured'
  | 'store_unavailable'
  | 'provider_unavailable'
  | 'provider_failed'
  | 'busy'
  | 'internal'

/**
 * Fields of the log line about a failure: whose answer it was, and the setting that helps. Texts of another party pass
 * `cleanText` first; no value is a secret, a token or a person's address.
 */
export interface FailureFacts {
  /** Name of the endpoint as in the provider's metadata, or `discovery`. */
  readonly endpoint?: string
  /** Address that was asked: origin and path. */
  readonly url?: string
  /** Status of the other party's answer. */
  readonly http_status?: number
  readonly oauth_error?: string
  readonly oauth_error_description?: string
  /** Origin of the proxy that was on the way. */
  readonly proxy?: string
  /** Method by which the client authenticated, and those that the metadata offer. */
  readonly client_authentication?: string
  /** Claim that was refused, with the value that was expected and the one received where it is no secret. */
  readonly claim?: string
  readonly expected?: string
  readonly received?: string
  /** Address of the peer that was refused; empty where it left before its request was read. */
  readonly peer?: string
  /** Host that was asked for: one that is not ours, or a protected one. */
  readonly asked_host?: string
  readonly host?: string
  /** Origin of the page that opened a WebSocket. */
  readonly origin?: string
  readonly setting?: string
  /** Policy that the address of the middleware names. */
  readonly policy?: string
  /** Redis server that failed, as `host:port`. */
  readonly server?: string
  /** Sentence that says why it failed, and what to do. */
  readonly explanation?: string
}

/**
 * Refusal or failure of a request. `message` is for the log; visitors read a text chosen by the code, or the message where
 * `isPublic` is set because it gives nothing away.
 */
export class AuthError extends Error {
  readonly code: AuthErrorCode
  readonly isPublic: boolean
  readonly facts: FailureFacts

  constructor(
    code: AuthErrorCode,
    message: string,
    options: { cause?: unknown; isPublic?: boolean; facts?: FailureFacts } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'AuthError'
    this.code = code
    this.isPublic = options.isPublic ?? false
    this.facts = options.facts ?? {}
  }
}

/** Returns the facts of a failure for a log line. */
export function factsOf(cause: unknown): FailureFacts {
  return cause instanceof AuthError ? cause.facts : {}
}

/**
 * Outage of the store, during which cached sessions and outage assertions may stand in for it. Any other
 * `store_unavailable` fails closed.
 */
export class OutageError extends AuthError {
  constructor(message: string, cause: unknown, facts: FailureFacts = {}) {
    super('store_unavailable', message, { cause, facts })
    this.name = 'OutageError'
  }
}

/** Returns the refusal of a request; the caller sees `message`, which names what is wrong with it. */
export function invalidRequest(message: string): AuthError {
  return new AuthError('invalid_request', message, { isPublic: true })
}

/** Returns a function that rethrows a failure of the store with a message for the caller, and any other error as it is. */
export function storeFailureAs(message: string): (cause: unknown) => never {
  return (cause) => {
    if (!(cause instanceof AuthError) || cause.code !== 'store_unavailable') throw cause
    throw new AuthError('store_unavailable', message, {
      cause,
      facts: cause.facts,
      isPublic: true,
    })
  }
}
