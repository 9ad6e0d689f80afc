import { setTimeout as pause } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Replacement, Store } from '../../store/store.ts'
import { inPortions } from '../in-portions.ts'

/** Keeps records that this replica renewed in the last ten minutes, to restore them in a store with older data. */
export interface RenewedRecords {
  /** Writes by compare-and-set like `Store.replace`, and replays this replica's earlier renewals over older data. */
  write(digest: string, records: Records, before: Buffer): Promise<Replacement>
  /** Writes all kept records again where the store has what they replaced; never rejects. */
  restore(): Promise<void>
}

type Records = Readonly<Record<'identity' | 'tokens', Buffer>>

interface Step {
  readonly records: Records
  readonly before: Buffer
}

export interface RenewedRecordsOptions {
  readonly replace: Store['replace']
  /** Pause between two rounds of restoring. */
  readonly roundMs?: number
}

/** Retention; a snapshot, or a promoted Redis replica, is seldom older. */
const KEPT_MS = 10 * 60 * 1000
const MAX_BYTES = 8 * 1024 * 1024
const MAX_STEPS = 5
/** Rounds of restoring; more than one, because a renewal may follow one that another replica has to restore first. */
const ROUNDS = 3
const ROUND_MS = 2000

/** Creates the memory, bounded in bytes; a restored record replaces only the one from which it was renewed. */
export function createRenewedRecords({
  replace,
  roundMs = ROUND_MS,
}: RenewedRecordsOptions): RenewedRecords {
  const kept = new LRUCache<string, readonly Step[]>({
    maxSize: MAX_BYTES,
    sizeCalculation: sizeOf,
    ttl: KEPT_MS,
  })

  async function replay(digest: string, steps: readonly Step[]): Promise<Replacement> {
    let last: Replacement = 'gone'
    for (const { records, before } of steps) last = await replace(digest, records, before)
    return last
  }

  /** Resolves with false when another round may still restore the session. */
  async function isRestored([digest, steps]: [string, readonly Step[]]): Promise<boolean> {
    const last = await replay(digest, steps).catch(() => 'changed' as const)
    return last !== 'changed'
  }

  return {
    async write(digest, records, before) {
      const earlier = kept.get(digest) ?? []
      const steps = [...earlier, copyOf({ records, before })].slice(-MAX_STEPS)
      let written = await replace(digest, records, before)
      if (written === 'changed' && earlier.length > 0) written = await replay(digest, steps)
      if (written === 'replaced') kept.set(digest, steps)
      return written
    },
    async restore() {
      let left = [...kept.entries()]
      for (let round = 0; round < ROUNDS && left.length > 0; round++) {
        if (round > 0) await pause(roundMs, undefined, { ref: false })
        const areRestored = await inPortions(left, isRestored)
        left = left.filter((_, at) => !areRestored[at])
      }
    },
  }
}

/** Copies the bytes, because a client of Redis cuts a reply from a chunk of many, which it would keep alive (finding C61). */
function copyOf({ records: { identity, tokens }, before }: Step): Step {
  return {
    records: { identity: ownBytes(identity), tokens: ownBytes(tokens) },
    before: ownBytes(before),
  }
}

function ownBytes(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

function sizeOf(steps: readonly Step[]): number {
  return steps.reduce(
    (sum, { records, before }) =>
      sum + records.identity.length + records.tokens.length + before.length,
    1,
  )
}
