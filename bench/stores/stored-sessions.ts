import { randomBytes } from 'node:crypto'
import { parseSessionCookie, type Session, type SessionCredential } from '../../src/core/session.ts'
import { openSessionReplica } from '../../test/support/session-replica.ts'

/** Sessions as the check reads them, within this process, over Redis or memory. */
export interface StoredSessions extends AsyncDisposable {
  /** Reads like a check: from memory, else from the store. Returns or resolves with `undefined` for no such session. */
  readonly read: (credential: SessionCredential) => unknown
  /** Writes one record of each kind in one round trip. */
  readonly write: () => Promise<void>
  /** Signs in that many users. */
  readonly signIn: (count: number) => Promise<SessionCredential[]>
  /** Fills L1 with that many further sessions, which no store holds: a million sign-ins take minutes. */
  readonly crowd: (count: number) => void
  /** Number of sessions in L1. */
  readonly cached: () => number
}

export type Mode = 'memory' | 'redis' | 'hybrid'

const REALM = 'app.example.com'
const AT_ONCE = 500

/** `l1Entries` bounds the sessions in memory in hybrid mode. */
export async function storedSessions(
  mode: Mode,
  redisUrl: string,
  l1Entries = 1000,
): Promise<StoredSessions> {
  const { sessions, cache, state, close } = openSessionReplica({
    PROTECTED_HOSTS: REALM,
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: 'https://id.example.com',
    OIDC_CLIENT_ID: 'bench',
    SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    REDIS_HYBRID_L1_SIZE: String(l1Entries),
    REDIS_HYBRID_L1_MEMORY_MB: '10000',
    REDIS_HYBRID_L1_TTL: '30',
    ...(mode === 'memory'
      ? { REDIS_ENABLED: 'false', REDIS_CACHE_MODE: undefined }
      : {
          REDIS_CACHE_MODE: mode,
          REDIS_URL: redisUrl,
          REDIS_KEY_PREFIX: `bench-${mode}-${l1Entries}:`,
        }),
  })
  await state.firstAttempt
  while (state.backplane.subscription === undefined)
    await new Promise((resolve) => setTimeout(resolve, 10))

  async function signInOne(user: number): Promise<SessionCredential> {
    const cookie = await sessions.open({
      identity: identityOf(user),
      tokens: { idToken: 'x'.repeat(700), accessToken: 'y'.repeat(40) },
      metadata: {
        subject: `user-${user}`,
        displayName: `User ${user}`,
        owners: { user: `owner-${user}` },
      },
      realm: REALM,
    })
    return parseSessionCookie(cookie) as SessionCredential
  }
  const record = randomBytes(350)
  const records = { identity: record, tokens: record, metadata: record }
  let written = 0
  return {
    read: (credential) => sessions.recall(credential, REALM) ?? sessions.find(credential, REALM),
    write: () => state.store.create(`written-${written++}`, records, 60_000),
    async signIn(count) {
      const credentials: SessionCredential[] = []
      while (credentials.length < count) {
        const size = Math.min(AT_ONCE, count - credentials.length)
        const users = Array.from({ length: size }, (_, index) => credentials.length + index)
        credentials.push(...(await Promise.all(users.map(signInOne))))
      }
      return credentials
    },
    crowd(count) {
      for (let user = 0; user < count; user++) {
        const presented = {
          digest: random(),
          credential: { id: random(), secret: random() },
          realm: REALM,
        }
        const sealed = { identity: randomBytes(350) }
        cache.keep(presented, sealed, sessionOf(user), cache.fillTicket())
      }
    },
    cached: () => cache.size,
    [Symbol.asyncDispose]: close,
  }
}

function random(): string {
  return randomBytes(32).toString('base64url')
}

function sessionOf(user: number): Session {
  const now = Date.now()
  return { identity: identityOf(user), createdAt: now, expiresAt: now + 3_600_000 }
}

function identityOf(user: number) {
  return {
    issuer: 'https://id.example.com',
    subject: `user-${user}`,
    email: `user-${user}@example.com`,
    preferredUsername: `user-${user}`,
    name: `User ${user}`,
    groups: ['admins', 'everybody'],
    claims: {},
  }
}
