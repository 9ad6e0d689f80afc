import type { EpochMs } from '../../core/epoch-ms.ts'
import type { KeyRing } from '../../crypto/key-ring.ts'

/** Number of sessions that have just ended, which travels sealed through the redirect, so that no link can make it up. */
export interface Notices {
  /** Returns the parameter that the session of this digest reads back. */
  seal(count: number, digest: string): string
  /** Returns the number; `undefined` for a notice that is not of this session, or not of the last minute. */
  open(sealed: string, digest: string): number | undefined
}

const SHOWN_MS = 60_000
const COUNT_BYTES = 4
const TIME_BYTES = 6

export function createNotices(ring: KeyRing, now: () => EpochMs): Notices {
  const contextOf = (name: string) => ({ purpose: 'sessions-notice', name, realm: '' }) as const
  return {
    seal(count, digest) {
      const bytes = Buffer.alloc(COUNT_BYTES + TIME_BYTES)
      bytes.writeUInt32BE(count)
      bytes.writeUIntBE(now(), COUNT_BYTES, TIME_BYTES)
      return ring.seal(bytes, contextOf(digest)).toString('base64url')
    },
    open(sealed, digest) {
      const bytes = ring.open(Buffer.from(sealed, 'base64url'), contextOf(digest))
      if (bytes?.length !== COUNT_BYTES + TIME_BYTES) return undefined
      const madeAt = bytes.readUIntBE(COUNT_BYTES, TIME_BYTES)
      // Replicas' clocks differ, so that a notice may come from ahead.
      return Math.abs(now() - madeAt) < SHOWN_MS ? bytes.readUInt32BE() : undefined
    },
  }
}
