import { startTcpProxy, type TcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { sharedTlsFiles } from '../internal-tls.ts'
import { until } from '../own-lag.ts'
import { HYBRID, PATIENT, startReplicasInProcess, untilStarted } from '../replicas.ts'
import { writeRules } from '../rules-file.ts'
import type { RunningVestibule } from '../vestibule.ts'
import { HOSTS, NOBODY, PEOPLE, RULES, USERS } from './people.ts'
import { breakRecords, makeTokens, signEverybodyIn, valueIn } from './signed-in-people.ts'
import type { World } from './world.ts'

/** World of a replica with one protected host for each way in which a host may be written. */
const PLAIN_WORLD = {
  hosts: [
    { scheme: 'https', pattern: 'app.example.com' },
    { scheme: 'https', pattern: 'other.example.com' },
    { scheme: 'https', pattern: '*.wild.example.com' },
    { scheme: 'http', pattern: 'plain.localhost:8080' },
  ],
  rules: RULES,
  basePath: '/oauth2',
  isPeerTrusted: true,
  graceSeconds: 0,
  isStoreAway: false,
  invalidSessions: [],
  sessions: new Map(),
  unseen: new Set<string>(),
  assertions: new Map(),
  tokens: new Map(),
  badTokens: [],
} satisfies World

/** Settings of a replica in this world. */
function settingsOf({ hosts, publicUrl, cookieDomain }: World) {
  return {
    PROTECTED_HOSTS: hosts
      .map(({ scheme, pattern }) => (scheme === 'http' ? `http://${pattern}` : pattern))
      .join(','),
    ALLOW_ANY_USER: 'false',
    ...(publicUrl !== undefined && { PUBLIC_URL: publicUrl }),
    ...(cookieDomain !== undefined && { COOKIE_DOMAIN: cookieDomain }),
  }
}

const GRACE_SECONDS = 900
const GRACE = { REDIS_HYBRID_L1_TTL: '30', SESSION_OUTAGE_GRACE: `${GRACE_SECONDS}` }

/** Starts a replica in each mode, one whose cookies are for a domain, and one that trusts no peer. */
export async function startModelledReplicas() {
  await using stack = new AsyncDisposableStack()
  const rules = stack.use(await writeRules(RULES))
  const origins = HOSTS.map((host) => `https://${host}`)
  const replicas = stack.use(
    await startReplicasInProcess({
      count: 0,
      settings: { ...PATIENT, ...GRACE, VESTIBULE_CONFIG: rules.path },
      provider: { origins, users: USERS },
    }),
  )
  const { provider, redis } = replicas
  const redisProxy = stack.use(await startTcpProxy(redis.port))
  const plain: World = { ...PLAIN_WORLD, ...(await makeTokens(provider)) }
  const shared: World = { ...plain, graceSeconds: GRACE_SECONDS }
  const domain: World = {
    ...shared,
    hosts: plain.hosts.slice(0, 3),
    publicUrl: 'https://app.example.com',
    cookieDomain: 'example.com',
  }
  const add = (world: World, settings = {}) => replicas.add({ ...settingsOf(world), ...settings })
  const { settings: tls } = await sharedTlsFiles()
  const [memory, redisMode, hybrid, domainHybrid, domainRedis, untrusting, http2, withoutRedis] =
    await Promise.all([
      add(plain, { REDIS_ENABLED: 'false', REDIS_ADDRESS: '' }),
      add(shared),
      add(shared, HYBRID),
      add(domain, HYBRID),
      add(domain),
      add(shared, { TRUSTED_PROXIES: '192.0.2.0/24' }),
      add(shared, { ...HYBRID, ...tls }),
      add(shared, { ...HYBRID, REDIS_ADDRESS: `127.0.0.1:${redisProxy.port}` }),
    ])
  await Promise.all(
    [memory, redisMode, hybrid, domainHybrid, domainRedis, untrusting, http2, withoutRedis].map(
      untilStarted,
    ),
  )
  const inMemory = await signEverybodyIn(memory)
  const inRedis = await signEverybodyIn(redisMode)
  const invalidSessions = [...inRedis.invalidSessions, ...(await breakRecords(redisMode, redis))]
  const inDomain = await signEverybodyIn(domainRedis, HOSTS.slice(0, 1))
  const resources = stack.move()
  /** World after the outage, which is brought about once. */
  let outageWorld: Promise<World> | undefined
  const takeRedisAway = () =>
    afterOutage({ redisMode, withoutRedis, redisProxy, world: { ...shared, ...inRedis } })
  return {
    memory: () => ({ replica: memory, world: { ...plain, ...inMemory } }),
    redis: () => ({ replica: redisMode, world: { ...shared, ...inRedis, invalidSessions } }),
    hybrid: () => ({ replica: hybrid, world: { ...shared, ...inRedis, invalidSessions } }),
    domain: () => ({ replica: domainHybrid, world: { ...domain, ...inDomain } }),
    untrusted: () => ({
      replica: untrusting,
      world: { ...shared, ...inRedis, isPeerTrusted: false },
    }),
    http2: () => ({
      replica: http2,
      world: { ...shared, ...inRedis, invalidSessions },
      isHttp2: true,
    }),
    /** Replica that has seen some of the sessions, and has lost its Redis since. */
    outage: async () => ({ replica: withoutRedis, world: await (outageWorld ??= takeRedisAway()) }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

interface Outage {
  readonly redisMode: RunningVestibule
  readonly withoutRedis: RunningVestibule
  readonly redisProxy: TcpProxy
  readonly world: World
}

/** Returns the world behind the outage: all but two sessions were seen before it, and one of these has an assertion. */
async function afterOutage({ redisMode, withoutRedis, redisProxy, world }: Outage): Promise<World> {
  const [alice = NOBODY] = PEOPLE
  const host = HOSTS[0] ?? ''
  const [unseen, asserted] = [
    await redisMode.signIn('alice', host),
    await redisMode.signIn('alice', host),
  ]
  for (const [value, { host: made }] of world.sessions) {
    await withoutRedis.check({ host: made, uri: '/x' }, { Cookie: `__Host-vestibule=${value}` })
  }
  const { setCookies } = await redisMode.check({ uri: '/x' }, { Cookie: asserted })
  const [, assertion = ''] = /_outage=([^;]+)/.exec(setCookies.join()) ?? []
  const added = [unseen, asserted].map(valueIn)
  await redisProxy.refuse()
  await until('an outage', async () => {
    const { status } = await withoutRedis.check({ uri: '/x' }, { Cookie: unseen })
    return status === 503
  })
  return {
    ...world,
    isStoreAway: true,
    sessions: new Map([
      ...world.sessions,
      ...added.map((value) => [value, { person: alice, host }] as const),
    ]),
    // Leaves out the ended session, which this replica knows to have ended.
    invalidSessions: world.invalidSessions.slice(0, -1),
    unseen: new Set(added),
    assertions: new Map([[valueIn(asserted), assertion]]),
  }
}
