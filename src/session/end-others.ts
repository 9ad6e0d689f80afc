import type { EndReason } from '../core/end-reason.ts'
import { OutageError } from '../errors.ts'
import type { Generations } from '../store/generations.ts'
import type { Owners, SessionsByOwner } from '../store/sessions-by-owner.ts'
import type { Order } from './end-in-store.ts'
import type { FoundMetadata } from './found-metadata.ts'
import { inPortions } from './in-portions.ts'
import type { SessionMetadata } from './records.ts'

/** Number of sessions that have ended, and the first failure where some may not have. */
export interface EndedOthers {
  readonly count: number
  readonly failure?: unknown
  /** Sessions that an outage kept from ending. */
  readonly waiting: readonly string[]
}

/** Ends the sessions of a user but `kept`, and none that begins after the order. */
export type EndOthers = (user: string, kept: string, order: Order) => Promise<EndedOthers>

export interface EndOthersOptions {
  readonly index: SessionsByOwner
  readonly generations: Pick<Generations, 'from'>
  readonly readMetadata: (digest: string) => Promise<FoundMetadata>
  /** Returns whether a session had begun before this generation. */
  readonly isBefore: (metadata: SessionMetadata, from: number) => boolean
  readonly endOne: (digest: string, owners: Partial<Owners>, reason: EndReason) => Promise<void>
}

/** Advances no generation, because the session that is kept began before the order and would end with its refresh. */
export function createEndOthers(options: EndOthersOptions): EndOthers {
  const { index, generations, readMetadata, isBefore, endOne } = options
  return async (user, kept, { asked, reason }) => {
    const from = await generations.from(asked)
    const waiting: string[] = []

    /** Returns whether a listed session is to end: all but those that are somebody else's or began since. */
    function isMeant(found: FoundMetadata): boolean {
      if (found.kind !== 'known') return true
      return found.metadata.owners.user === user && isBefore(found.metadata, from)
    }

    /**
     * Ends a session also where its metadata do not open, because nobody could end it otherwise, and leaves a tombstone
     * where it is being written, because its sign-in has begun before.
     */
    async function endIfMeant(digest: string): Promise<boolean> {
      const found = await readMetadata(digest)
      if (!isMeant(found)) return false
      const owners = found.kind === 'known' ? found.metadata.owners : { user }
      await endOne(digest, owners, reason).catch((cause: unknown) => {
        if (cause instanceof OutageError) waiting.push(digest)
        throw cause
      })
      return found.kind !== 'missing'
    }

    const failures: unknown[] = []
    const others = (await index.list('user', user)).filter((digest) => digest !== kept)
    const areEnded = await inPortions(others, (digest) =>
      endIfMeant(digest).catch((cause: unknown) => {
        failures.push(cause)
        return false
      }),
    )
    const count = areEnded.filter(Boolean).length
    return { count, waiting, ...(failures.length > 0 && { failure: failures[0] }) }
  }
}
