import { hash, randomBytes } from 'node:crypto'
import type { Identity } from '../../src/core/identity.ts'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { AuthError, OutageError } from '../../src/errors.ts'
import { createOutageAssertions } from '../../src/session/outage-assertion.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { createSessionCodec } from '../../src/session/records.ts'
import { createSessionCache, type SessionCacheOptions } from '../../src/session/session-cache.ts'
import {
  createSessions,
  type NewSession,
  type SessionsOptions,
} from '../../src/session/sessions.ts'
import { createMemoryGenerations } from '../../src/store/memory/generations.ts'
import { createMemorySessionIndex } from '../../src/store/memory/session-index.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { Store } from '../../src/store/store.ts'

export const REALM = 'app.example.com'
export const DAY_MS = 86_400_000
export const KEY_PREFIX = 'vestibule:'
export const STARTED_AT = 1_700_000_000_000

export const identity: Identity = {
  issuer: 'https://id.example.com',
  subject: 'u1',
  email: 'alice@example.com',
  name: 'Alice',
  groups: ['admins'],
  claims: { dept: 'R&D' },
}

export const newSession: NewSession = {
  identity,
  tokens: { idToken: 'the.id.token', accessToken: 'the-access-token', accessTokenExpiresAt: 5000 },
  metadata: {
    subject: 'u1',
    displayName: 'Alice',
    owners: { user: 'user-1', providerSession: 'sid-1' },
    address: '203.0.113.7',
  },
  realm: REALM,
}

/** What the sign-in of some user at the provider makes of it. */
export const sessionOf = (subject: string, sid?: string) => ({
  identity: { ...identity, subject },
  metadata: {
    subject,
    displayName: subject.toUpperCase(),
    owners: {
      user: userOwner(identity.issuer, subject).id,
      ...(sid !== undefined && { providerSession: providerSessionOwner(identity.issuer, sid).id }),
    },
  },
})

export const sessionDigest = ({ id }: SessionCredential): string => hash('sha256', id, 'base64url')

/** A failure for which nothing stands in. */
export const away = (): never => {
  throw new AuthError('store_unavailable', 'away')
}
/** The store cannot be reached. */
export const outage = (): never => {
  throw new OutageError('Redis: connection', new Error('gone'))
}

export interface StartedSessionsOptions extends Partial<SessionsOptions> {
  readonly wrap?: (store: Store) => Store
  readonly l1?: Partial<SessionCacheOptions>
  readonly graceMs?: number
}

/** Sessions over a real memory store that tells what was asked of it. */
export const startSessions = (changes: StartedSessionsOptions = {}) => {
  let nowMs = STARTED_AT
  const now = () => nowMs
  const calls: string[] = []
  const inner = createMemoryStore({ maxEntries: 1000, maxBytes: 1_000_000 }, now)
  const memory: Store = {
    read: (digest, parts) => {
      calls.push(`read ${parts.join('')}`)
      return inner.read(digest, parts)
    },
    create: (digest, records, ttlMs) => {
      calls.push(`create ${ttlMs}`)
      return inner.create(digest, records, ttlMs)
    },
    extend: (digest, ttlMs) => {
      calls.push(`extend ${ttlMs}`)
      return inner.extend(digest, ttlMs)
    },
    replace: (digest, records, before) => {
      calls.push('replace')
      return inner.replace(digest, records, before)
    },
    end: (digest, tombstoneMs, reason) => {
      calls.push(`end ${tombstoneMs}`)
      return inner.end(digest, tombstoneMs, reason)
    },
    list: () => inner.list(),
  }
  const { wrap = (store: Store) => store, l1 = {}, graceMs = 300_000, ...rest } = changes
  const ring = createKeyRing([randomBytes(32)])
  const sessionCache = createSessionCache({
    maxEntries: 100,
    maxBytes: 1_000_000,
    servedMs: 60_000,
    keptMs: graceMs,
    canRecall: true,
    epoch: () => 0,
    onLookUp: () => undefined,
    ...l1,
  })
  const integrityFailures: string[] = []
  const extendFailures: unknown[] = []
  const announced: string[] = []
  const flushed: number[] = []
  const replaced: number[] = []
  const index = createMemorySessionIndex({ maxEntries: 1000, maxBytes: 1_000_000 }, now)
  const generations = createMemoryGenerations({ maxEntries: 1000, maxBytes: 1_000_000 }, now)
  const assertions = createOutageAssertions({ ring, graceMs, now })
  const options: SessionsOptions = {
    store: wrap(memory),
    index,
    generations,
    codec: createSessionCodec({
      ring,
      keyPrefix: KEY_PREFIX,
      onIntegrityFailure: (key) => integrityFailures.push(key),
    }),
    sessionCache,
    assertions,
    withAccessToken: false,
    canShareReads: false,
    maxAgeMs: DAY_MS,
    perUser: 10_000,
    onReplaced: (count) => replaced.push(count),
    idleTimeoutMs: 0,
    now,
    onExtendFailure: (cause) => extendFailures.push(cause),
    announceEnded: (digest) => announced.push(digest),
    onFlushed: (count) => flushed.push(count),
    ...rest,
  }
  const sessions = createSessions(options)
  return {
    sessions,
    ring,
    sessionCache,
    assertions,
    store: inner,
    index,
    generations,
    calls,
    integrityFailures,
    extendFailures,
    announced,
    flushed,
    replaced,
    elapse: (ms: number) => {
      nowMs += ms
    },
    open: async (changes: Partial<NewSession> = {}): Promise<SessionCredential> =>
      parseSessionCookie(await sessions.open({ ...newSession, ...changes })) as SessionCredential,
  }
}
