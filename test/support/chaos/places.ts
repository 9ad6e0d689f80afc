import { startTestProvider } from '../provider.ts'
import { startRedis } from '../redis.ts'
import { APP } from '../relying-party.ts'
import { subOf } from './browser-at.ts'
import { createClientKey, startChaosReplica } from './chaos-replica.ts'
import { PEOPLE, REPLICAS, TOKEN_SECONDS } from './schedule.ts'

/** Starts a provider, a Redis that forgets nothing when it is killed, and replicas; ended with the stack. */
export async function startPlaces(stack: AsyncDisposableStack) {
  const keys = await Promise.all(Array.from({ length: REPLICAS }, createClientKey))
  const provider = stack.use(
    await startTestProvider({
      origins: [APP],
      users: Array.from({ length: PEOPLE }, (_, person) => ({ sub: subOf(person) })),
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: keys.map(({ publicJwk }) => publicJwk) as never },
      },
      configuration: {
        ttl: { AccessToken: TOKEN_SECONDS },
        enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
      },
    }),
  )
  // Answered writes survive a kill, because Redis writes them to its file before the answer and the kernel keeps them.
  const redis = stack.use(
    await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'no'] }),
  )
  const { issuer, clientId } = provider
  const replicas = await Promise.all(
    keys.map((key, at) => startChaosReplica({ at, redisPort: redis.port, issuer, clientId, key })),
  )
  for (const replica of replicas) stack.use(replica)
  return { keys, provider, redis, replicas }
}
