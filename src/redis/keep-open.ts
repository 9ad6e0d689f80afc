import { setTimeout as pause } from 'node:timers/promises'
import { backoffMs } from '../timing/backoff.ts'
import type { ClientConnection } from './client.ts'

/** Connection that is opened again whenever it ends. */
export interface KeptConnection {
  readonly current: ClientConnection | undefined
  /** As in `RedisConnection`. */
  readonly isExpected: boolean
  readonly firstAttempt: Promise<void>
  /** Resolves when the present attempt has succeeded or failed. */
  readonly attempt: Promise<void>
  /** Resolves when the next connection is open, after any number of attempts. */
  readonly next: Promise<void>
  close(): Promise<void>
}

export interface KeepOpenOptions {
  readonly open: (signal: AbortSignal) => Promise<ClientConnection>
  readonly onOpen: (connection: ClientConnection) => void
  /** Called when a connection was lost or an attempt failed. */
  readonly onEnded: (cause: unknown) => void
}

const RETRY = { minMs: 25, maxMs: 1000 }
/**
 * Lifetime below which a connection counts as a failure, so that the back-off also applies where each ends at once
 * (C74).
 */
const STEADY_AFTER_MS = 1000

/** Connects in the background, and again with back-off after each end, until it is closed. */
export function keepOpen({ open, onOpen, onEnded }: KeepOpenOptions): KeptConnection {
  const closing = new AbortController()
  const firstAttempt = Promise.withResolvers<void>()
  let current: ClientConnection | undefined
  let attempt = Promise.withResolvers<void>()
  let next = Promise.withResolvers<void>()
  let isExpected = true
  let failures = 0

  async function keep(): Promise<void> {
    while (!closing.signal.aborted) {
      const cause = await useConnection().catch((reason: unknown) => reason)
      current = undefined
      if (!closing.signal.aborted) onEnded(cause)
      firstAttempt.resolve()
      const pauseMs = backoffMs(failures++, RETRY)
      await pause(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined)
    }
    isExpected = false
    endAttempt()
  }

  /** Opens one connection. Throws the cause when the attempt fails or, later, when the connection ends. */
  async function useConnection(): Promise<never> {
    const opened = await open(closing.signal).catch((cause: unknown) => {
      isExpected = false
      endAttempt()
      throw cause
    })
    current = opened
    isExpected = true
    endAttempt()
    next.resolve()
    next = Promise.withResolvers()
    onOpen(opened)
    firstAttempt.resolve()
    const openedAtMs = performance.now()
    return opened.lost.finally(() => {
      if (performance.now() - openedAtMs > STEADY_AFTER_MS) failures = 0
    })
  }

  function endAttempt(): void {
    attempt.resolve()
    attempt = Promise.withResolvers()
  }

  const kept = keep()
  return {
    get current() {
      // Hides a connection that has ended, because its callers learn of that before this loop does.
      return current?.hasEnded ? undefined : current
    },
    get isExpected() {
      return isExpected
    },
    firstAttempt: firstAttempt.promise,
    get attempt() {
      return attempt.promise
    },
    get next() {
      return next.promise
    },
    async close() {
      closing.abort(new Error('closed'))
      await kept
    },
  }
}
