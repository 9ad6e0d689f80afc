import type { ServerAddress } from './target.ts'

/** Server that a failure concerns. */
export interface FailedServer extends ServerAddress {
  /** Setting or party that gave the address, such as `REDIS_ADDRESS`. */
  readonly namedBy: string
  readonly isTls: boolean
  /** True until the server has accepted this client. */
  readonly isGreeting: boolean
}

/** Failure of one server, which names the server; its cause is what was thrown. */
export class ServerFailure extends Error {
  readonly server: FailedServer

  constructor(server: FailedServer, cause: unknown) {
    super('a Redis server failed', { cause })
    this.name = 'ServerFailure'
    this.server = server
  }
}

/** Thrown where one side speaks TLS and the other does not. */
export class TlsMismatchError extends Error {
  constructor() {
    super('one side speaks TLS and the other does not')
    this.name = 'TlsMismatchError'
  }
}

/** Thrown for bytes that are no reply of Redis, or for a reply to no command. */
export class ProtocolError extends Error {
  constructor(cause: unknown) {
    super('the server does not answer as Redis does', { cause })
    this.name = 'ProtocolError'
  }
}

/** Thrown for a command while no server is connected; the cause is why the latest attempt failed. */
export class NotConnectedError extends Error {
  constructor(cause: unknown) {
    super('not connected', { cause })
    this.name = 'NotConnectedError'
  }
}

/** Returns the failure of a server in a chain of causes. */
export function serverFailureIn(cause: unknown): ServerFailure | undefined {
  let each = cause
  while (each instanceof Error && !(each instanceof ServerFailure)) each = each.cause
  return each instanceof ServerFailure ? each : undefined
}
