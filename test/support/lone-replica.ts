import type { Environment } from '../../src/config/config.ts'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { createProviderLogout } from '../../src/session/provider-logout.ts'
import type { TcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { until } from './own-lag.ts'
import { openSessionReplica } from './session-replica.ts'
import { newSession, REALM, sessionOf } from './started-sessions.ts'

/** Session parts of a replica that can be cut off from Redis. */
export type LoneReplica = ReturnType<typeof startLoneReplica>

// Whether Redis is away is told by the connection alone, and not by how often it was away before.
const SETTINGS = { REDIS_ENABLE_CIRCUIT_BREAKER: 'false' }

/** Starts the session parts of one replica, with its own connection to Redis and its own wall clock. */
export function startLoneReplica(network: TcpProxy, skewMs = 0, changes: Environment = {}) {
  const now = () => Date.now() + skewMs
  const REDIS_URL = `redis://127.0.0.1:${network.port}`
  const replica = openSessionReplica({ ...SETTINGS, ...changes, REDIS_URL }, now)
  const { sessions, state, told, close } = replica
  const endAsAtProvider = createProviderLogout({
    sessions,
    oneTimeKeys: state.oneTimeKeys,
    clientId: 'vestibule',
    isStoreAvailable: () => state.isAvailable,
    now,
  })
  const open = async (subject: string, sid: string | undefined, tokens = newSession.tokens) => {
    const cookie = await sessions.open({ ...sessionOf(subject, sid), tokens, realm: REALM })
    return parseSessionCookie(cookie) as SessionCredential
  }
  const isBack = async () =>
    state.isAvailable && (await state.generations.current().catch(() => 0)) > 0
  const untilBack = () => until('a Redis that answers', isBack)
  return {
    network,
    state,
    sessions,
    told,
    endAsAtProvider,
    open,
    signIn: async (subject: string, sid?: string) =>
      open(subject, sid, { ...newSession.tokens, generation: await sessions.currentGeneration() }),
    untilBack,
    async cutOff() {
      await network.refuse()
      await until('the loss', () => !state.isAvailable)
    },
    async reconnect() {
      await network.accept()
      await untilBack()
      await until('an outbox that is empty', async () => {
        await sessions.revocations.flush()
        return sessions.revocations.waiting === 0
      })
    },
    async [Symbol.asyncDispose]() {
      await close()
      await network.close()
    },
  }
}
