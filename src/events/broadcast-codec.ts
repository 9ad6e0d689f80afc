import { z } from 'zod'
import { type Broadcast, isBroadcastName } from '../core/broadcast.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { parseJson } from '../core/json.ts'
import type { KeyRing } from '../crypto/key-ring.ts'

/** Broadcast and the time at which it was sent, by the clock of its sender. */
export interface SentBroadcast {
  readonly broadcast: Broadcast
  readonly sentAt: EpochMs
}

/** Seals broadcasts for the log and the backplane, so that neither a dump nor a listener of Redis reads or forges them. */
export interface BroadcastCodec {
  seal(sent: SentBroadcast): Buffer
  /** Returns `undefined` for what no key here opens, or what is no broadcast. */
  open(sealed: Buffer): SentBroadcast | undefined
}

const text = z.exactOptional(z.string().min(1))

/** Refuses members of a later version, because one of them may restrict who is meant. */
const content = z.strictObject({
  at: z.number(),
  event: z.string().refine(isBroadcastName),
  data: z.unknown(),
  user: text,
  host: text,
})

export function createBroadcastCodec(ring: KeyRing, keyPrefix: string): BroadcastCodec {
  const context = { purpose: 'broadcast', name: `${keyPrefix}{events}`, realm: '' }
  return {
    seal({ broadcast, sentAt }) {
      return ring.seal(Buffer.from(JSON.stringify({ at: sentAt, ...broadcast })), context)
    },
    open(sealed) {
      const opened = ring.open(sealed, context)
      const { data } = content.safeParse(opened && parseJson(opened.toString()))
      if (data?.data === undefined) return undefined
      const { at, ...broadcast } = data
      return { broadcast, sentAt: at }
    },
  }
}
