import type { EndReason } from '../../core/end-reason.ts'
import type { RecordPart, SessionLife, Store } from '../store.ts'
import { createExpiringMap, type MemoryBounds, type MonotonicClock } from './expiring-map.ts'

type Texts = Readonly<Record<RecordPart, string>>

/** Bytes counted for the name of a session and for the heads of its texts. */
const NAME_BYTES = 150

/** Longest lifetime of a tombstone, because only a write of this process that is under way could revive its session. */
const TOMBSTONE_MS = 60_000

/**
 * Creates a store for a single replica, which is lost with its process. Keeps records as texts of a byte a character,
 * because small buffers are cut from chunks that each of them keeps alive (finding C61).
 */
export function createMemoryStore(
  bounds: MemoryBounds,
  now: MonotonicClock = () => performance.now(),
): Store {
  const sessions = createExpiringMap<Texts>(bounds, now)
  const ended = createExpiringMap<EndReason>(bounds, now)
  const keep = (digest: string, texts: Texts, ttlMs: number) => {
    const { identity, tokens, metadata } = texts
    const bytes = identity.length + tokens.length + metadata.length + NAME_BYTES
    sessions.set(digest, texts, bytes, ttlMs)
  }
  return {
    async read(digest, parts) {
      const texts = sessions.get(digest)?.value
      return texts ? Object.fromEntries(parts.map((part) => [part, bytesOf(texts[part])])) : {}
    },
    async create(digest, { identity, tokens, metadata }, ttlMs) {
      if (ended.get(digest)) return
      const texts = {
        identity: textOf(identity),
        tokens: textOf(tokens),
        metadata: textOf(metadata),
      }
      keep(digest, texts, ttlMs)
    },
    async replace(digest, { identity, tokens }, before) {
      const entry = sessions.get(digest)
      if (!entry) return 'gone'
      const { value, expiresAtMs } = entry
      const renewed = textOf(tokens)
      if (value.tokens === renewed) return 'replaced'
      if (value.tokens !== textOf(before)) return 'changed'
      const texts = { ...value, identity: textOf(identity), tokens: renewed }
      keep(digest, texts, expiresAtMs - now())
      return 'replaced'
    },
    async extend(digest, ttlMs) {
      const entry = sessions.get(digest)
      if (entry) entry.expiresAtMs = now() + ttlMs
      return entry !== undefined
    },
    async end(digest, tombstoneMs, reason) {
      sessions.delete(digest)
      const first = ended.get(digest)
      const keptMs = Math.min(tombstoneMs, TOMBSTONE_MS)
      const leftMs = first ? first.expiresAtMs - now() : 0
      ended.set(digest, first?.value ?? reason, digest.length, Math.max(keptMs, leftMs))
    },
    async readLives(digests) {
      return digests.map((digest): SessionLife => {
        const entry = sessions.get(digest)
        return entry
          ? { kind: 'alive', leftMs: entry.expiresAtMs - now() }
          : { kind: 'ended', reason: ended.get(digest)?.value }
      })
    },
    async *list() {
      yield sessions.keys()
    },
  }
}

function textOf(record: Buffer): string {
  return record.toString('latin1')
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
