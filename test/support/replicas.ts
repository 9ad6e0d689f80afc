import { describe } from 'vitest'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { startTcpProxy, type TcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { until } from './own-lag.ts'
import { startTestProvider, type TestProvider, type TestProviderOptions } from './provider.ts'
import { type RedisOptions, type RunningRedis, startRedis } from './redis.ts'
import { redisMissing } from './redis-home.ts'
import { APP } from './relying-party.ts'
import { writeRules } from './rules-file.ts'
import { SERVER_KEY } from './session-values.ts'
import { cookieHeader, returnFromProvider, SESSION_COOKIE, startLogin } from './sign-in-steps.ts'
import { type RunningVestibule, startVestibule } from './vestibule.ts'
import { startVestibuleProcess, type VestibuleProcess } from './vestibule-process.ts'
import type { Visitor } from './visitor.ts'

const missing = await redisMissing()
if (missing !== undefined) process.stdout.write(`skipped: ${missing}\n`)

/** Runs its tests where a Redis can be started; elsewhere skips them and prints the reason. */
export const describeWithRedis = describe.skipIf(missing !== undefined)

/** Settings of a replica at this provider and with this way to Redis. */
export const settingsFor = (provider: TestProvider, network: TcpProxy) => ({
  OIDC_ISSUER_URL: provider.issuer,
  OIDC_CLIENT_ID: provider.clientId,
  OIDC_CLIENT_SECRET: provider.clientSecret,
  PUBLIC_PATHS: '/public/**',
  REDIS_ENABLED: 'true',
  REDIS_ADDRESS: `127.0.0.1:${network.port}`,
})

/** Replicas of Vestibule that share a Redis, which they reach through a network that can fail. */
export interface Replicas<Replica extends RunningVestibule = RunningVestibule>
  extends AsyncDisposable {
  readonly redis: RunningRedis
  readonly network: TcpProxy
  readonly provider: TestProvider
  readonly all: readonly Replica[]
  readonly first: Replica
  /** Starts one more replica with further settings; it ends with the others. */
  readonly add: (settings?: Settings) => Promise<Replica>
  /** A fresh browser at the provider's redirect to the callback, which it has not followed yet. */
  readonly untilCallback: (sub?: string) => Promise<{ browser: Visitor; callbackUrl: string }>
  /** A fresh browser with a session, and the `Cookie` header that its checks carry. */
  readonly signedIn: (sub?: string) => Promise<{ browser: Visitor; cookie: string }>
}

export type ReplicaProcesses = Replicas<VestibuleProcess>

type Settings = Readonly<Record<string, string>>

export interface ReplicaOptions {
  readonly count?: number
  readonly settings?: Settings
  /** Rules of all replicas, in a file. */
  readonly rules?: readonly RuleSource[]
  readonly redis?: RedisOptions
  readonly provider?: TestProviderOptions
}

export const HYBRID = { REDIS_CACHE_MODE: 'hybrid' } as const

/** Settings for tests without an outage: a Redis that a busy machine pauses for a moment does not count as away. */
export const PATIENT = { CHECK_STORE_TIMEOUT_MS: '1000' } as const

export { SERVER_KEY }

/** Waits until `/startupz` is 200: the replica has reached its Redis and its provider, or knows that they are away. */
export function untilStarted(replica: RunningVestibule): Promise<void> {
  return until('a start', async () => (await replica.internal('/startupz')).status === 200, 10_000)
}

/** Starts each replica in a process of its own, as in production. */
export function startReplicas(options?: ReplicaOptions): Promise<ReplicaProcesses> {
  return startWith(startVestibuleProcess, options)
}

/** Starts all replicas in the process of the test; they share its event loop and cannot be signalled. */
export function startReplicasInProcess(options?: ReplicaOptions): Promise<Replicas> {
  return startWith(startVestibule, options)
}

async function startWith<Replica extends RunningVestibule>(
  start: (settings: Settings) => Promise<Replica>,
  options: ReplicaOptions = {},
): Promise<Replicas<Replica>> {
  const started = new AsyncDisposableStack()
  try {
    const provider = started.use(await startTestProvider({ origins: [APP], ...options.provider }))
    const redis = started.use(await startRedis(options.redis))
    const network = started.use(await startTcpProxy(redis.port))
    const rules = options.rules && started.use(await writeRules(options.rules))
    const add = async (settings: Settings = {}): Promise<Replica> =>
      started.use(
        await start({
          ...settingsFor(provider, network),
          ...(settings['SESSION_ENCRYPTION_KEY_FILE'] === undefined && {
            SESSION_ENCRYPTION_KEY: SERVER_KEY,
          }),
          ...(rules && { VESTIBULE_CONFIG: rules.path }),
          ...options.settings,
          ...settings,
        }),
      )
    const all = await Promise.all(Array.from({ length: options.count ?? 1 }, () => add()))
    await Promise.all(all.map(untilStarted))
    const first = all[0] as Replica
    const untilCallback: Replicas['untilCallback'] = async (sub) => {
      const browser = first.visitor()
      return {
        browser,
        callbackUrl: await returnFromProvider(browser, await startLogin(browser), sub),
      }
    }
    const signedIn: Replicas['signedIn'] = async (sub) => {
      const { browser, callbackUrl } = await untilCallback(sub)
      const { status } = await browser.get(callbackUrl)
      const cookie = cookieHeader(browser)
      if (!cookie?.includes(`${SESSION_COOKIE}=`)) throw new Error(`not signed in: ${status}`)
      return { browser, cookie }
    }
    return {
      redis,
      network,
      provider,
      all,
      first,
      add,
      untilCallback,
      signedIn,
      [Symbol.asyncDispose]: () => started.disposeAsync(),
    }
  } catch (error) {
    await started.disposeAsync()
    throw error
  }
}
