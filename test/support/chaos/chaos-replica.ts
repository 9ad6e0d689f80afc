import { generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { startTcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { ADMIN_TOKEN } from '../operator.ts'
import { SERVER_KEY, untilStarted } from '../replicas.ts'
import { startVestibuleProcess, type VestibuleProcess } from '../vestibule-process.ts'
import { L1_TTL_MS, OUTAGE_GRACE_MS } from './faults.ts'

/** A replica at one place for the whole run, whose process may end and be started again. */
export type ChaosReplica = Awaited<ReturnType<typeof startChaosReplica>>

/** By which the provider tells the replicas apart: each proves who it is with a key of its own. */
export type ClientKey = Awaited<ReturnType<typeof createClientKey>>

export async function createClientKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' }) as JWK
  const kid = await calculateJwkThumbprint(jwk)
  return {
    pem: privateKey.export({ format: 'pem', type: 'pkcs8' }),
    publicJwk: { ...jwk, kid, alg: 'ES256', use: 'sig' },
    kid,
  }
}

export interface ChaosReplicaOptions {
  readonly at: number
  readonly redisPort: number
  readonly issuer: string
  readonly clientId: string
  readonly key: ClientKey
  /** Settings file with the rules. */
  readonly rulesFile: string
}

export async function startChaosReplica(options: ChaosReplicaOptions) {
  await using stack = new AsyncDisposableStack()
  const wire = stack.use(await startTcpProxy(options.redisPort))
  const ports = { publicPort: await steadyPort(), internalPort: await steadyPort() }
  const settings = {
    PORT: `${ports.publicPort}`,
    INTERNAL_PORT: `${ports.internalPort}`,
    OIDC_ISSUER_URL: options.issuer,
    OIDC_CLIENT_ID: options.clientId,
    OIDC_CLIENT_SECRET: '',
    OIDC_CLIENT_PRIVATE_KEY: options.key.pem,
    ADMIN_TOKEN,
    VESTIBULE_CONFIG: options.rulesFile,
    SESSION_ENCRYPTION_KEY: SERVER_KEY,
    SESSION_OUTAGE_GRACE: `${OUTAGE_GRACE_MS / 1000}`,
    REDIS_ENABLED: 'true',
    REDIS_CACHE_MODE: 'hybrid',
    REDIS_ADDRESS: `127.0.0.1:${wire.port}`,
    REDIS_HYBRID_L1_TTL: `${L1_TTL_MS / 1000}`,
    // A Redis that a busy machine pauses for a moment is not away.
    CHECK_STORE_TIMEOUT_MS: '1000',
    DRAIN_SECONDS: '1',
    // As the manifests have it.
    NODE_OPTIONS: '--max-old-space-size=192',
  }
  const lives: VestibuleProcess[] = []
  const start = async (): Promise<void> => {
    const running = await startVestibuleProcess(settings)
    lives.push(running)
    await untilStarted(running)
  }
  const current = (): VestibuleProcess => {
    const running = lives.at(-1)
    if (!running) throw new Error('it was never started')
    return running
  }
  await start()
  stack.defer(async () => void (await current().stop('SIGKILL')))
  const resources = stack.move()
  return {
    ...ports,
    at: options.at,
    /** Its own way to Redis. */
    wire,
    /** Process of the current life, or of the last one where that has ended. */
    get running() {
      return current()
    },
    /** Counts the starts. */
    get life() {
      return lives.length
    },
    /** Returns the log of each life. */
    outputs: () => lives.map(({ output }) => output()),
    start,
    freeze: () => void process.kill(current().pid, 'SIGSTOP'),
    thaw: () => void process.kill(current().pid, 'SIGCONT'),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}
