import { setTimeout as pause } from 'node:timers/promises'
import type { ClientConnection } from './client.ts'

/** One connection after the other: each is opened anew when the one before is over. */
export interface KeptConnection {
  readonly current: ClientConnection | undefined
  /** Connected, or about to be as far as is known: a moment's patience is worth it. */
  readonly isExpected: boolean
  /** Resolves when the first attempt has ended, either way. */
  readonly firstAttempt: Promise<void>
  /** Resolves when the present attempt has ended, either way. */
  readonly attempt: Promise<void>
  /** Resolves when the next connection is there, however many attempts it takes. */
  readonly next: Promise<void>
  close(): Promise<void>
}

export interface KeepOpenOptions {
  readonly open: (signal: AbortSignal) => Promise<ClientConnection>
  readonly onOpen: (connection: ClientConnection) => void
  /** A connection was lost, or an attempt failed. */
  readonly onOver: (cause: unknown) => void
}

const RETRY_MIN_MS = 25
const RETRY_MAX_MS = 1000
/**
 * Lifetime below which a connection counts as a failure, so that the back-off also applies where each ends at once
 * (C74).
 */
const STEADY_AFTER_MS = 1000

/** Opens in the background and tries again, with growing pauses, until it is closed. */
export function keepOpen({ open, onOpen, onOver }: KeepOpenOptions): KeptConnection {
  const closing = new AbortController()
  const firstAttempt = Promise.withResolvers<void>()
  let current: ClientConnection | undefined
  let attempt = Promise.withResolvers<void>()
  let next = Promise.withResolvers<void>()
  let isExpected = true
  let failures = 0

  async function keep(): Promise<void> {
    while (!closing.signal.aborted) {
      const cause = await useOne().catch((reason: unknown) => reason)
      current = undefined
      if (!closing.signal.aborted) onOver(cause)
      firstAttempt.resolve()
      await backOff(failures++)
    }
    isExpected = false
    endAttempt()
  }

  /** From the attempt to its end, which is the rejection. */
  async function useOne(): Promise<never> {
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

  function backOff(failures: number): Promise<void> {
    const ms = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures) * (0.5 + Math.random())
    return pause(ms, undefined, { signal: closing.signal }).catch(() => undefined)
  }

  const kept = keep()
  return {
    get current() {
      // Hides a connection that is over, because its callers learn of its end before this loop does.
      return current?.isOver ? undefined : current
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
