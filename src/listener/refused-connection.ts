/** Kind of a connection that is refused or closed because of what its client does. */
export type RefusalKind =
  | 'tls_to_plain'
  | 'http2_to_plain'
  | 'plain_to_tls'
  | 'handshake'
  | 'handshakes'
  | 'http2'
  | 'idle'

export interface RefusedConnection {
  readonly kind: RefusalKind
  /** Address of the client; empty where it had left. */
  readonly peer: string
  readonly cause?: string
  /** Number of connections that were closed together. */
  readonly count?: number
}

/** Reports a refused connection, for the log. */
export type OnRefused = (refused: RefusedConnection) => void
