import { setTimeout as pause } from 'node:timers/promises'
import type { Session } from '../../core/session.ts'
import { OutageError } from '../../errors.ts'
import { SETTLE_MS, type Settling } from '../../store/settling.ts'
import type { Tokens } from '../records.ts'
import type { PresentedSession } from '../session-cache.ts'
import type { RefreshLock } from './locks.ts'

/** Session as stored. */
export interface Stored {
  readonly session: Session
  readonly tokens: Tokens
  readonly sealedTokens: Buffer
}

/** Refresh that the provider has answered. */
export interface AnsweredRefresh {
  readonly presented: PresentedSession
  readonly lock: RefreshLock
  /** Stored session before the provider was asked. */
  readonly before: Stored
}

/** Other replicas that may have refreshed the same session. */
export interface Rivals {
  /**
   * Resolves with true when another replica has spent the refused token and stored the new ones (F33, C65). After an
   * outage or a takeover, first gives the other replicas time to store them.
   */
  isElsewhere(refresh: AnsweredRefresh): Promise<boolean>
}

export interface RivalOptions {
  readonly read: (presented: PresentedSession) => Promise<Stored | undefined>
  readonly settling: Settling
  /** Aborted when the process is about to end. */
  readonly ending: AbortSignal
}

/** Retry interval during a store outage; short, because new tokens exist only in this process until they are stored. */
const AGAIN_MS = 500

/** Looks for what other replicas have stored before a refusal is believed. */
export function createRivals({ read, settling, ending }: RivalOptions): Rivals {
  async function isUnchanged({ presented, lock, before }: AnsweredRefresh): Promise<boolean> {
    if (!(await lock.isStillOurs())) return false
    const after = await read(presented)
    return after?.sealedTokens.equals(before.sealedTokens) === true
  }

  return {
    async isElsewhere(refresh) {
      const { createdAt } = refresh.before.session
      const turnEndsMs = performance.now() + (refresh.lock.isTakenOver ? SETTLE_MS : 0)
      while (!ending.aborted) {
        const hadTheirTurn = performance.now() >= turnEndsMs && settling.isSettledFor(createdAt)
        const isSame = await isUnchanged(refresh).catch(unlessOutage)
        if (isSame === false) return true
        if (isSame && hadTheirTurn) return false
        await untilAgain(ending)
      }
      return true
    },
  }
}

/** Pauses before the next try during a store outage; ends early with the process. */
export async function untilAgain(ending: AbortSignal): Promise<void> {
  await pause(AGAIN_MS, undefined, { signal: ending }).catch(() => undefined)
}

export function unlessOutage(error: unknown): undefined {
  if (!(error instanceof OutageError)) throw error
}
