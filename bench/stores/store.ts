import { randomBytes } from 'node:crypto'
import { createClient, RESP_TYPES } from 'redis'
import type { SessionCredential } from '../../src/core/session.ts'
import { type Mode, storedSessions } from './stored-sessions.ts'

/** Store under measurement, in the process that measures it. */
export interface Store {
  /** Reads the next session in turn: what was found, at once or later, or nothing. */
  readonly read: () => unknown
  /** Writes one session in one round trip. */
  readonly write: () => Promise<unknown>
}

export type StoreKind = Mode | 'raw node-redis'

/** Size of a sealed record, which raw node-redis stores as it is. */
const RECORD_BYTES = 350

export function openStore(kind: StoreKind, redisUrl: string, sessions: number): Promise<Store> {
  return kind === 'raw node-redis'
    ? rawStore(redisUrl, sessions)
    : modeStore(kind, redisUrl, sessions)
}

async function modeStore(mode: Mode, redisUrl: string, sessions: number): Promise<Store> {
  const stored = await storedSessions(mode, redisUrl, sessions)
  return { read: reader(stored.read, await stored.signIn(sessions)), write: stored.write }
}

/** Reads every session in turn. */
export function reader(
  read: (credential: SessionCredential) => unknown,
  credentials: readonly SessionCredential[],
): () => unknown {
  let turn = 0
  return () => read(credentials[turn++ % credentials.length] as SessionCredential)
}

async function rawStore(url: string, sessions: number): Promise<Store> {
  const client = createClient({ url, commandOptions: { timeout: 0 } })
  await client.connect()
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const record = randomBytes(RECORD_BYTES)
  for (let each = 0; each < sessions; each++) await client.set(`raw:${each}`, record)
  let turn = 0
  return {
    read: () => binary.get(`raw:${turn++ % sessions}`),
    write: () =>
      client.set(`raw:written-${turn++}`, record, { expiration: { type: 'PX', value: 60_000 } }),
  }
}
