import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import type { EndReason } from '../../src/core/end-reason.ts'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { AuthError, type AuthErrorCode, OutageError } from '../../src/errors.ts'
import { createOutageAssertions } from '../../src/session/outage-assertion.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { createSessionCodec, sessionDigest } from '../../src/session/records.ts'
import {
  createSessionCache,
  type PresentedSession,
  type SessionCacheOptions,
} from '../../src/session/session-cache.ts'
import {
  createSessions,
  type NewSession,
  type SessionsOptions,
} from '../../src/session/sessions.ts'
import { createMemoryGenerations } from '../../src/store/memory/generations.ts'
import { createMemorySessionsByOwner } from '../../src/store/memory/sessions-by-owner.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import type { RecordPart, Store } from '../../src/store/store.ts'
import { DAY_MS, identity, KEY_PREFIX, newSession, REALM, STARTED_AT } from './session-values.ts'

export { DAY_MS, identity, KEY_PREFIX, newSession, REALM, STARTED_AT, sessionDigest }

/** Returns the identity and metadata that a sign-in of `subject` gives. */
export function sessionOf(subject: string, sid?: string) {
  return {
    identity: { ...identity, subject },
    metadata: {
      subject,
      displayName: subject.toUpperCase(),
      owners: {
        user: userOwner(identity.issuer, subject).id,
        ...(sid !== undefined && {
          providerSession: providerSessionOwner(identity.issuer, sid).id,
        }),
      },
    },
  }
}

export function present(credential: SessionCredential, realm = REALM): PresentedSession {
  return { digest: sessionDigest(credential), credential, realm }
}

export function refusedAs(code: AuthErrorCode): Error {
  return expect.objectContaining({ code }) as Error
}
export const STORE_AWAY = refusedAs('store_unavailable')

/** Lists each session twice. */
export function listingTwice(store: Store): Store {
  return {
    ...store,
    async *list() {
      for await (const portion of store.list()) yield [...portion, ...portion]
    },
  }
}

/** Fails with an error for which nothing stands in. */
export function away(): never {
  throw new AuthError('store_unavailable', 'away')
}
/** Fails as a store that cannot be reached. */
export function outage(): never {
  throw new OutageError('Redis: connection', new Error('gone'))
}

export interface StartedSessionsOptions extends Partial<SessionsOptions> {
  readonly wrap?: (store: Store) => Store
  readonly l1?: Partial<SessionCacheOptions>
  readonly graceMs?: number
}

/** Commands of the shared state that can be made to fail; `scan` lists all sessions. */
export type Step =
  | Exclude<keyof Store, 'list'>
  | 'scan'
  | 'add'
  | 'list'
  | 'remove'
  | GenerationStep
type GenerationStep = 'current' | 'oldestOf' | 'advance'

type Sealed = Record<RecordPart, Buffer>

const BOUNDS = { maxEntries: 1000, maxBytes: 1_000_000 }

/** Starts sessions over memory, which records the store's commands and fails where told. */
export function startSessions(changes: StartedSessionsOptions = {}) {
  let nowMs = STARTED_AT
  const now = () => nowMs
  const calls: string[] = []
  const broken = new Map<Step, { readonly fail: () => never; spared: number }>()
  const store = createMemoryStore(BOUNDS, now)
  const index = createMemorySessionsByOwner(BOUNDS, now)
  const generations = createMemoryGenerations(BOUNDS, now)

  const held = new Map<string, () => Promise<void>>()
  const lost = new Set<string>()

  async function pass<R>(step: Step, command: () => Promise<R>, call?: string): Promise<R> {
    const fault = broken.get(step)
    if (fault && fault.spared-- <= 0) fault.fail()
    if (call !== undefined) calls.push(call)
    await held.get(`before ${step}`)?.()
    const answer = await command()
    await held.get(`after ${step}`)?.()
    return answer
  }

  const memory: Store = {
    read: (digest, parts) => {
      const present = parts.filter((part) => !lost.has(`${digest} ${part}`))
      return pass('read', () => store.read(digest, present), `read ${parts.join('')}`)
    },
    create: (...given) => pass('create', () => store.create(...given), `create ${given[2]}`),
    extend: (...given) => pass('extend', () => store.extend(...given), `extend ${given[1]}`),
    replace: (...given) => pass('replace', () => store.replace(...given), 'replace'),
    end: (...given) => pass('end', () => store.end(...given), `end ${given[1]}`),
    readLives: (...given) => pass('readLives', () => store.readLives(...given)),
    async *list() {
      yield* store.list()
      broken.get('scan')?.fail()
    },
  }
  const { wrap = (inner: Store) => inner, l1 = {}, graceMs = 300_000, ...rest } = changes
  const ring = createKeyRing([randomBytes(32)])
  const told = {
    integrityFailures: [] as string[],
    extendFailures: [] as unknown[],
    announced: [] as string[],
    /** Ends as streams of this replica are told them, and `all deferred` where they are to be reviewed. */
    ends: [] as (readonly [string, EndReason] | 'all deferred')[],
    flushed: [] as number[],
    replaced: [] as number[],
  }
  const sessionCache = createSessionCache({
    maxEntries: 100,
    maxBytes: 1_000_000,
    servedMs: 60_000,
    keptMs: graceMs,
    canRecall: true,
    composedBytes: () => 0,
    subscription: () => 0,
    onLookUp: () => undefined,
    ...l1,
  })
  const codec = createSessionCodec({
    ring,
    keyPrefix: KEY_PREFIX,
    onIntegrityFailure: (key) => told.integrityFailures.push(key),
  })
  const assertions = createOutageAssertions({ ring, graceMs, now })
  const sessions = createSessions({
    store: wrap(memory),
    index: {
      ...index,
      add: (...given) => pass('add', () => index.add(...given)),
      list: (...given) => pass('list', () => index.list(...given)),
      remove: (...given) => pass('remove', () => index.remove(...given)),
    },
    generations: {
      ...generations,
      current: (...given) => pass('current', () => generations.current(...given)),
      oldestOf: (...given) => pass('oldestOf', () => generations.oldestOf(...given)),
      advance: (...given) => pass('advance', () => generations.advance(...given)),
    },
    codec,
    sessionCache,
    assertions,
    passedTokens: new Set(),
    canShareReads: false,
    maxAgeMs: DAY_MS,
    perUser: 10_000,
    idleTimeoutMs: 0,
    now,
    onReplaced: (count) => told.replaced.push(count),
    onExtendFailure: (cause) => told.extendFailures.push(cause),
    announceEnded: (digest) => told.announced.push(digest),
    onEnded: (digest, reason) => told.ends.push([digest, reason]),
    onAllDeferred: () => told.ends.push('all deferred'),
    onFlushed: (count) => told.flushed.push(count),
    ...rest,
  })

  async function open(changes: Partial<NewSession> = {}): Promise<SessionCredential> {
    const cookie = await sessions.open({ ...newSession, ...changes })
    return parseSessionCookie(cookie) as SessionCredential
  }

  const sealed = async (credential: SessionCredential) =>
    (await store.read(sessionDigest(credential), ['identity', 'tokens', 'metadata'])) as Sealed

  return {
    ...told,
    sessions,
    ring,
    codec,
    sessionCache,
    assertions,
    store,
    index,
    generations,
    calls,
    open,
    signIn: async (subject: string, sid?: string, changes: Partial<NewSession> = {}) => {
      const tokens = { ...newSession.tokens, generation: await sessions.currentGeneration() }
      return open({ ...sessionOf(subject, sid), tokens, ...changes })
    },
    /** Tells which of these the sessions find, in memory or in the store. */
    areAlive: (credentials: readonly SessionCredential[], realm = REALM) =>
      Promise.all(
        credentials.map(async (each) => (await sessions.find(each, realm)) !== undefined),
      ),
    sealed,
    overwrite: async (credential: SessionCredential, changed: Partial<Sealed>) =>
      store.create(
        sessionDigest(credential),
        { ...(await sealed(credential)), ...changed },
        DAY_MS,
      ),
    /** Makes a command fail from now on, after it was spared `spared` times. */
    break: (step: Step, fail: () => never = outage, spared = 0) => {
      broken.set(step, { fail, spared })
    },
    mend: () => broken.clear(),
    /** Holds up the next such command, before or after the store carries it out, until `goOn`. */
    hold: (step: Step, at: 'before' | 'after') => {
      const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const key = `${at} ${step}`
      held.set(key, async () => (held.delete(key), reached.resolve(), goOn.promise))
      return { reached: reached.promise, goOn: goOn.resolve }
    },
    /** Loses one record of a session. */
    lose: (credential: SessionCredential, part: RecordPart) =>
      void lost.add(`${sessionDigest(credential)} ${part}`),
    elapse: (ms: number) => {
      nowMs += ms
    },
  }
}
