import type { ServerOptions } from 'node:http'
import type { SecureServerOptions } from 'node:http2'

/** Limits for slow and oversized requests over HTTP/1.1 (threats A76, A94), plain or in TLS. */
export const LIMITS = {
  maxHeaderSize: 64 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 2000,
  // Go's client, and so Traefik, reuses idle connections for 90 s.
  keepAliveTimeout: 95_000,
  // Off, because Node's own answer to a request without Host has no `Cache-Control: no-store`.
  requireHostHeader: false,
  // Makes no stream for a body that is not sent, which is a tenth of the CPU of a bare server.
  optimizeEmptyRequests: true,
} as const satisfies ServerOptions

/**
 * Bounds the connections of one listener; further ones are dropped. Each takes 7 KB (measured with Node 26); at most 10,000
 * hold streams to pages, whose memory is counted apart, so that 2,000 are left for other requests.
 */
export const MAX_CONNECTIONS = 12_000

/** Bounds a TLS handshake. */
export const HANDSHAKE_TIMEOUT_MS = 10_000

/**
 * Bounds the TLS handshakes that run together, because each takes 70 KB from its first packet on (measured with Node 26).
 * While others wait, one that takes longer than ten looks is given up, and so is one that sent more than any ClientHello.
 */
export const HANDSHAKES = {
  together: 200,
  waiting: 2000,
  helloBytes: 16 * 1024,
  lookMs: 50,
  undisturbedLooks: 10,
} as const

/**
 * Bounds the TLS connections, because each takes 70 KB (measured with Node 26). Beyond that, idle ones are closed: first
 * those without a request for `unaskedMs`, then those that have been silent for `askedMs`.
 */
export const IDLE = {
  connections: 500,
  unaskedMs: 500,
  askedMs: 1000,
  /** Time that a client has to close its side, as HTTP/2 asks for. */
  leaveMs: 500,
  lookMs: 50,
} as const

/**
 * Bounds of one HTTP/2 connection, beside those of nghttp2 itself: eight CONTINUATION frames, 32 settings in a frame, 1,000
 * answers that wait to be sent, and 1,000 odd frames at once.
 */
export const HTTP2_LIMITS = {
  settings: { maxConcurrentStreams: 1000, maxHeaderListSize: 64 * 1024, enablePush: false },
  // Go sends each cookie as a header of its own, and knows the bound in bytes alone, in which not even 2,048 have room.
  maxHeaderListPairs: 2048,
  maxSessionMemory: 32,
  // Above RESETS, because these end the connection without its streams under way.
  streamResetBurst: 10_000,
  streamResetRate: 10_000,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
} as const satisfies SecureServerOptions

/**
 * Bounds the resets of one connection (CVE-2023-44487), behind which its other streams finish and the client opens another
 * one: a busy Traefik cancels checks whose visitors have left, all over one connection.
 */
export const RESETS = { burst: 2000, perSecond: 1500 } as const

/**
 * Bounds the PING, SETTINGS and PRIORITY frames of one connection, which ask for nothing. There are more than resets, because
 * Go sends a PING behind one.
 */
export const CONTROL_FRAMES = { burst: 3000, perSecond: 3000 } as const

/** Bounds what a connection may send within a second: bytes beside those of its requests, and requests that Node refuses. */
export const VOLUME = {
  bytesPerSecond: 256 * 1024,
  bytesPerRequest: 128 * 1024,
  refusedRequests: 50,
} as const

/**
 * Times of leaving: how long a connection lives that was opened while draining, because a client that is sent away with each of
 * its requests would ask too often, and how long one that was told to end may take.
 */
export const LEAVING = { afterMs: 1000, withinMs: 10_000 } as const

/**
 * Bounds the age of an HTTP/2 connection, because a router of Traefik stays with one replica as long as it lives. Each ends
 * at another part of the last third, so that replicas do not lose theirs together.
 */
export const MAX_AGE_MS = 5 * 60 * 1000
