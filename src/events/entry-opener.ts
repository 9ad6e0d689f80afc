import type { EpochMs } from '../core/epoch-ms.ts'
import { sha256 } from '../crypto/digest.ts'
import type { LoggedEvent } from '../store/event-log.ts'
import type { BroadcastCodec } from './broadcast-codec.ts'
import { isOld, type Mirror, type MirroredBroadcast } from './mirror.ts'
import { eventBytes } from './sse-text.ts'

export interface EntryOpenerOptions {
  readonly codec: BroadcastCodec
  readonly mirror: Pick<Mirror, 'has'>
  readonly now: () => EpochMs
  /** Called for what no key opens: of a replica with other keys, or forged. */
  readonly onUnreadable: () => void
}

/** Opens an entry of the log; `undefined` for what is known, too old, or not readable. */
export type OpenEntry = (entry: LoggedEvent) => MirroredBroadcast | undefined

export function createEntryOpener({
  codec,
  mirror,
  now,
  onUnreadable,
}: EntryOpenerOptions): OpenEntry {
  return function openEntry({ id, sealed }) {
    const name = nameOf(sealed)
    if (mirror.has(name)) return undefined
    const sent = codec.open(sealed)
    if (!sent) onUnreadable()
    if (!sent || isOld(sent.sentAt, now())) return undefined
    const { data, ...broadcast } = sent.broadcast
    return {
      id,
      broadcast,
      bytes: eventBytes(broadcast.event, data, id),
      sentAt: sent.sentAt,
      name,
    }
  }
}

/** Returns a name by which a broadcast is known again, also under another identifier. */
function nameOf(sealed: Buffer): string {
  return sha256(sealed.toString('base64url'))
}
