import { randomBytes } from 'node:crypto'
import { renewalNeed } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import type { RefreshTokens } from '../../src/oidc/refresh.ts'
import { createSessionCodec, type Tokens } from '../../src/session/records.ts'
import { createSessionRefresher } from '../../src/session/refresh/refresher.ts'
import { createRenewedRecords } from '../../src/session/refresh/renewed-records.ts'
import type { RefreshResult } from '../../src/session/refresh/result.ts'
import type { PresentedSession, SessionCache } from '../../src/session/session-cache.ts'
import { createMemoryGenerations } from '../../src/store/memory/generations.ts'
import { createMemoryLocks } from '../../src/store/memory/locks.ts'
import { createMemorySessionsByOwner } from '../../src/store/memory/sessions-by-owner.ts'
import { createMemoryStore } from '../../src/store/memory/store.ts'
import { watchSettling } from '../../src/store/settling.ts'
import {
  identity,
  KEY_PREFIX,
  newSession,
  outage,
  REALM,
  sessionDigest,
} from './started-sessions.ts'

const LIFE_MS = 40_000
const DAY_MS = 86_400_000
const COMMAND_MS = 10
/** A command whose connection is lost is sent again over the next one, if that comes in time. */
const SENT_AGAIN_WITHIN_MS = 3000
const NEVER = { maxEntries: 10_000, maxBytes: 10_000_000 }

/** A replica, and its own wire to the store. */
export interface ModelReplica {
  readonly connect: () => void
  readonly disconnect: () => void
  /** A request at this replica that carries the session's cookie. */
  readonly visit: (held: PresentedSession) => void
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Replicas over one store in memory and a provider that takes a refresh token once, all on vitest's fake clock. */
export const createRenewalWorld = (providerMs: () => number) => {
  const clock = () => performance.now()
  const now = () => Date.now()
  const memory = createMemoryStore(NEVER, clock)
  const index = createMemorySessionsByOwner(NEVER, clock)
  const generations = createMemoryGenerations(NEVER, clock)
  let locks = createMemoryLocks(NEVER, clock)
  let startedAtMs = clock() - DAY_MS
  const results: RefreshResult[] = []
  const ended: string[] = []
  const provider = createRotatingProvider(providerMs)
  const codec = createSessionCodec({
    ring: createKeyRing([randomBytes(32)]),
    keyPrefix: KEY_PREFIX,
    onIntegrityFailure: () => undefined,
  })

  const read = async ({ digest, credential }: PresentedSession) => {
    const holder = { secret: credential.secret, realm: REALM }
    const sealed = await memory.read(digest, ['identity', 'tokens'])
    const session = codec.open(digest, 'identity', sealed.identity, holder)
    const tokens = codec.open(digest, 'tokens', sealed.tokens, holder)
    return session && tokens && { session, tokens }
  }

  const addReplica = (): ModelReplica => {
    const settling = watchSettling(now)
    let connection = 0
    let isConnected = false
    const overWire =
      <A extends readonly unknown[], R>(command: (...given: A) => Promise<R>) =>
      async (...given: A): Promise<R> => {
        const untilMs = clock() + SENT_AGAIN_WITHIN_MS
        for (let tries = 0; tries < 2; tries += 1) {
          while (tries > 0 && !isConnected && clock() < untilMs) await pause(20)
          const used = connection
          if (!isConnected) break
          await pause(COMMAND_MS)
          if (used !== connection) continue
          const answer = await command(...given)
          await pause(COMMAND_MS)
          if (used === connection) return answer
        }
        return outage()
      }
    const store = { ...wired(memory, overWire), list: () => memory.list() }
    const shared = {
      acquire: (...given) => locks.acquire(...given),
      takeOver: (...given) => locks.takeOver(...given),
      hold: (...given) => locks.hold(...given),
      release: (...given) => locks.release(...given),
    } satisfies typeof locks
    const refresher = createSessionRefresher({
      store,
      sessionsByOwner: wired(index, overWire),
      settling,
      renewedRecords: createRenewedRecords(store),
      generations: wired(generations, overWire),
      locks: wired(shared, overWire),
      codec,
      sessionCache: NOT_OPENED,
      identity: {
        groupsClaim: 'groups',
        emailClaim: 'email',
        trustEmail: false,
        claims: [],
      },
      passedTokens: new Set(),
      refreshTokens: provider.refresh,
      onRenewed: () => undefined,
      endSession: async (digest, reason) => {
        await store.end(digest, DAY_MS, reason)
        ended.push(digest)
      },
      revokeTokens: async () => undefined,
      patienceMs: DAY_MS,
      canStore: () => isConnected,
      now,
      onResult: (result) => results.push(result),
      onFault: (cause) => {
        throw cause
      },
    })
    const visit = async (held: PresentedSession): Promise<void> => {
      if (!isConnected) return
      const found = await read(held)
      if (found && renewalNeed(found.session, now(), DAY_MS) !== 'none') {
        await refresher.refresh(held)
      }
    }
    return {
      connect() {
        isConnected = true
        settling.disturb()
        settling.observeUptime(clock() - startedAtMs)
      },
      disconnect() {
        isConnected = false
        connection += 1
        settling.disturb()
      },
      visit: (held) => void visit(held),
    }
  }

  return {
    results,
    ended,
    provider,
    read,
    addReplica,
    /** The store comes back as another process; what it has of locks may be older. */
    restartStore(losesLocks: boolean) {
      startedAtMs = clock()
      if (losesLocks) locks = createMemoryLocks(NEVER, clock)
    },
    async signIn(): Promise<PresentedSession> {
      const credential = { id: randomText(), secret: randomText() }
      const digest = sessionDigest(credential)
      const holder = { secret: credential.secret, realm: REALM }
      const createdAt = now()
      const accessTokenExpiresAt = createdAt + LIFE_MS
      const tokens: Tokens = { ...newSession.tokens, ...provider.issue(), accessTokenExpiresAt }
      const renewal = { dueAt: createdAt + LIFE_MS * 0.75, endsAt: accessTokenExpiresAt }
      const session = { identity, createdAt, expiresAt: createdAt + DAY_MS, renewal }
      const records = {
        identity: codec.seal(digest, 'identity', session, holder),
        tokens: codec.seal(digest, 'tokens', tokens, holder),
        metadata: codec.seal(digest, 'metadata', { ...newSession.metadata, createdAt }),
      }
      await memory.create(digest, records, DAY_MS)
      return { digest, credential, realm: REALM }
    },
    dueAfterMs: LIFE_MS * 0.75 + 1,
  }
}

const randomText = (): string => randomBytes(32).toString('base64url')

/** The L1 has no part in this. */
const NOT_OPENED = {
  evict: () => undefined,
  expire: () => undefined,
} as unknown as SessionCache

type Commands = Readonly<Record<string, (...given: never[]) => Promise<unknown>>>

const wired = <T extends object>(
  port: T,
  overWire: <A extends readonly unknown[], R>(
    command: (...given: A) => Promise<R>,
  ) => (...given: A) => Promise<R>,
): T =>
  Object.fromEntries(
    Object.entries(port as Commands).map(([name, command]) => [name, overWire(command)]),
  ) as T

/** Reuse of a refresh token ends its family, as RFC 9700 section 4.14.2 has it. */
const createRotatingProvider = (delayMs: () => number) => {
  const families = new Map<string, { current: string }>()
  let refused = 0
  let asked = 0
  const issue = (): { refreshToken: string } => {
    const refreshToken = `${randomText()}.0`
    families.set(familyOf(refreshToken), { current: refreshToken })
    return { refreshToken }
  }
  const refresh: RefreshTokens = async ({ refreshToken }) => {
    const ms = delayMs()
    await pause(ms / 2)
    asked += 1
    const family = families.get(familyOf(refreshToken))
    const isCurrent = family?.current === refreshToken
    if (!isCurrent) families.delete(familyOf(refreshToken))
    const next = `${familyOf(refreshToken)}.${asked}`
    if (family) family.current = next
    await pause(ms / 2)
    if (!isCurrent) {
      refused += 1
      return { kind: 'refused' }
    }
    const issued = {
      accessToken: `access-${asked}`,
      refreshToken: next,
      accessTokenExpiresInSeconds: LIFE_MS / 1000,
    }
    return { kind: 'refreshed', issued }
  }
  return {
    issue,
    refresh,
    get refused() {
      return refused
    },
    get asked() {
      return asked
    },
  }
}

const familyOf = (refreshToken: string): string => refreshToken.split('.')[0] as string
