import type { IncomingMessage } from 'node:http'
import type { Access } from '../../core/access-rule.ts'
import type { PresentedToken } from '../../core/authorization.ts'
import type { ForwardedRequest } from '../../core/forwarded-request.ts'
import type { RequestClass } from '../../core/request-class.ts'
import type { CheckOutcome } from '../../telemetry/metrics.ts'

/** A request whose facts are known, and what its rules ask. */
export interface CheckedRequest {
  /** Traefik's request, with the headers of the visitor. */
  readonly raw: IncomingMessage
  readonly request: ForwardedRequest
  readonly requestClass: RequestClass
  readonly access: Access
  /** Present where a rule accepts tokens and the request has one. */
  readonly presented: PresentedToken | undefined
}

/** The answer of a check, and its outcome in the metrics. */
export interface CheckAnswer {
  readonly response: Response | Promise<Response>
  readonly outcome: CheckOutcome
}
