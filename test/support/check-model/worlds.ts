import { hash, randomBytes } from 'node:crypto'
import { parseKeys } from '../../../src/config/encryption-keys.ts'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { createKeyRing } from '../../../src/crypto/key-ring.ts'
import { createSessionCodec } from '../../../src/session/records.ts'
import { startTcpProxy, type TcpProxy } from '../../../stand-ins/network/tcp-proxy.ts'
import { AUDIENCE, bearerRule, createProofKey, mintAccessToken } from '../bearers.ts'
import { sharedTlsFiles } from '../internal-tls.ts'
import { until } from '../own-lag.ts'
import type { TestProvider } from '../provider.ts'
import type { RunningRedis } from '../redis.ts'
import { openRedisBytes } from '../redis-bytes.ts'
import { HYBRID, PATIENT, SERVER_KEY, startReplicasInProcess, untilStarted } from '../replicas.ts'
import { writeRules } from '../rules-file.ts'
import { storedSession } from '../stored-session.ts'
import { breakSignature } from '../tokens.ts'
import type { RunningVestibule } from '../vestibule.ts'
import type { KnownSession, KnownToken, Person, World } from './world.ts'

/** Rules of every kind, whose order matters. */
export const RULES: readonly RuleSource[] = [
  { paths: ['/public/**', '/status'], methods: ['GET'], access: 'public' },
  { paths: ['/café/*'], access: 'public' },
  { paths: ['/Admin/**'], access: 'signed-in', groups: ['admins'] },
  bearerRule('/api/**', { scopes: ['orders:read'] }, { preflight: 'pass' }),
  bearerRule('/reports/**', {}, { groups: ['admins'], degraded: 'deny' }),
  bearerRule('/deploy/**', {}, { oneTime: true }),
  { paths: ['/debug/**'], access: 'deny' },
  { paths: ['/cors/**'], access: 'signed-in', preflight: 'pass' },
  {
    hosts: ['*.wild.example.com'],
    access: 'signed-in',
    emailDomains: ['example.com'],
    degraded: 'deny',
  },
  { paths: ['/assets/**'], access: 'public' },
  { access: 'signed-in', groups: ['staff'], emails: ['carl@example.org'] },
]

const many = (count: number) =>
  Array.from({ length: count }, (_, at) => `group-${at}-${'g'.repeat(32)}`)

export const PEOPLE: readonly Person[] = [
  {
    sub: 'alice',
    email: 'alice@example.com',
    username: 'alice',
    name: 'Alice Liddell',
    groups: ['staff', 'admins'],
  },
  { sub: 'bob', email: 'Bob@Example.com', name: 'Bob', groups: ['staff'] },
  { sub: 'carl', email: 'carl@example.org', groups: [] },
  { sub: 'dora', groups: ['staffs'], username: 'dora' },
  { sub: 'zoë', name: 'Zoë 🦊', groups: ['staff', 'a,b', '100%'] },
  { sub: 'grace', groups: ['staff', ...many(70)] },
  { sub: 'heidi', groups: ['staff', ...many(300)] },
]

/** Users of the provider for these people. */
export const USERS = PEOPLE.map(({ sub, email, username, name, groups }) => ({
  sub,
  groups,
  ...(email !== undefined && { email, email_verified: true }),
  ...(username !== undefined && { preferred_username: username }),
  ...(name !== undefined && { name }),
}))

export const HOSTS = ['app.example.com', 'other.example.com', 'b.wild.example.com']

const robot: Person = { sub: 'robot', email: 'robot@example.com', groups: [] }
const root: Person = { sub: 'root', groups: ['admins'] }

const LIFE_SECONDS = 3600

/** Tokens with what they are good for, and tokens that are good for nothing. */
export async function makeTokens(provider: TestProvider) {
  const begin = Math.floor(Date.now() / 1000)
  const end = { iat: begin, exp: begin + LIFE_SECONDS }
  const mint = (person: Person, changes: Readonly<Record<string, unknown>> = {}, how = {}) => {
    const { sub, email, groups } = person
    const address = email === undefined ? {} : { email, email_verified: true }
    return mintAccessToken(provider, { ...end, sub, groups, ...address, ...changes }, how)
  }
  const key = await createProofKey()
  const orders = ['orders:read', 'x']
  const known = (person: Person, scopes: readonly string[], audience = AUDIENCE): KnownToken => {
    return { person, scopes, audience, lifeSeconds: LIFE_SECONDS }
  }
  const bound = { cnf: { jkt: key.thumbprint }, scope: 'orders:read' }
  const elsewhere = { aud: 'https://other.example', scope: 'orders:read' }
  const tokens = new Map<string, KnownToken>([
    [await mint(robot, { scope: orders.join(' ') }), known(robot, orders)],
    [await mint(root), known(root, [])],
    [await mint(root, { scp: orders }), known(root, orders)],
    [await mint(root, elsewhere), known(root, orders, 'https://other.example')],
    [await mint(root, bound), { ...known(root, orders), isBound: true }],
  ])
  const [good = ''] = tokens.keys()
  const past = Math.floor(Date.now() / 1000) - 600
  const badTokens = [
    breakSignature(good),
    good.slice(0, -4),
    `${good}.x`,
    await mint(root, { exp: past, iat: past - 60 }),
    await mint(root, {}, { as: 'stranger' }),
    await mint(root, {}, { as: 'none' }),
    await mint(root, { iss: 'https://evil.example' }),
    await mint(root, {}, { header: { typ: 'JWT' } }),
    await provider.mintIdToken(),
    'x.y.z',
  ]
  return { tokens, badTokens }
}

/** Returns the value of the session cookie in a `Cookie` header. */
function valueIn(header: string): string {
  return /vestibule=([^;]*)/.exec(header)?.[1] ?? ''
}

/** Signs everybody in, and `alice` at each host; some of the cookies with which nobody is signed in beside them. */
export async function signEverybodyIn(door: RunningVestibule, hosts = HOSTS) {
  const sessions = new Map<string, KnownSession>()
  const put = async (person: Person, host: string): Promise<string> => {
    const header = await door.signIn(person.sub, host)
    sessions.set(valueIn(header), { person, host })
    return header
  }
  const [first = '', ...others] = hosts
  for (const person of PEOPLE) await put(person, first)
  const [alice = NOBODY] = PEOPLE
  for (const host of others) await put(alice, host)
  const [value = ''] = sessions.keys()
  const [version = '', id = '', secret = ''] = value.split('.')
  const otherEnd = `${secret.slice(0, -2)}${secret.endsWith('AA') ? 'BB' : 'AA'}`
  const strangers = [
    `${version}.${id}.${otherEnd}`,
    `${version}.${id}.${secret.slice(0, 1) === 'A' ? 'B' : 'A'}${secret.slice(1)}`,
    `${version}.${secret}.${id}`,
    `${version}.${randomText()}.${randomText()}`,
    `${version}.${id}.${randomText()}`,
  ]
  const ended = valueIn(await door.signIn('bob', first))
  const cookie = `__Host-vestibule=${ended}; __Secure-vestibule=${ended}`
  const { status } = await door
    .visitor()
    .post(`https://${first}/oauth2/logout`, {}, { headers: { Cookie: cookie } })
  if (status !== 303) throw new Error(`a sign-out was answered ${status}`)
  return { sessions, strangers: [...strangers, ended] }
}

function randomText(): string {
  return randomBytes(32).toString('base64url')
}

type Damage = (
  redis: RunningRedis,
  key: string,
  bytes: Awaited<ReturnType<typeof openRedisBytes>>,
) => Promise<unknown>
const DAMAGES: readonly Damage[] = [
  async (redis, key) => (await redis.cli('DEL', key), redis.cli('RPUSH', key, 'a')),
  async (redis, key) => (await redis.cli('DEL', key), redis.cli('HSET', key, 'a', 'b')),
  (redis, key) => redis.cli('DEL', key),
  (_, key, bytes) => bytes.put(key, Buffer.alloc(0)),
  (_, key, bytes) => bytes.put(key, randomBytes(200)),
  (_, key, bytes) => bytes.put(key, Buffer.alloc(3 * 1024 * 1024, 'x')),
  (_, key, bytes) =>
    bytes.put(key, Buffer.from('{"identity":{"subject":"root","groups":["admins"]}}')),
  async (_, key, bytes) => bytes.put(key, (await bytes.get(key)).subarray(0, -1)),
  async (_, key, bytes) => {
    const value = Buffer.from(await bytes.get(key))
    value[value.length - 1] = (value[value.length - 1] ?? 0) ^ 1
    await bytes.put(key, value)
  },
]

/** Returns cookies whose records in Redis are broken, each in its own way, or have run out. */
export async function breakRecords(door: RunningVestibule, redis: RunningRedis) {
  await using bytes = await openRedisBytes(redis)
  const broken: string[] = []
  for (const damage of DAMAGES) {
    const header = await door.signIn('alice')
    const value = valueIn(header)
    const { keyOf } = storedSession(`__Host-vestibule=${value}`)
    await damage(redis, keyOf('identity'), bytes)
    broken.push(value)
  }
  const foreign = valueIn(await door.signIn('alice'))
  const moved = storedSession(`__Host-vestibule=${foreign}`).keyOf('identity')
  const other = storedSession(`__Host-vestibule=${valueIn(await door.signIn('alice'))}`).keyOf(
    'identity',
  )
  await bytes.put(moved, await bytes.get(other))
  return [...broken, foreign, await expiredSession(bytes)]
}

async function expiredSession(bytes: Awaited<ReturnType<typeof openRedisBytes>>): Promise<string> {
  const ring = createKeyRing(parseKeys(SERVER_KEY))
  const codec = createSessionCodec({
    ring,
    keyPrefix: 'vestibule:',
    onIntegrityFailure: () => undefined,
  })
  const [id, secret] = [randomText(), randomText()]
  const value = `v1.${id}.${secret}`
  const identity = {
    issuer: 'https://id.example.com',
    subject: 'alice',
    groups: ['staff'],
    claims: {},
  }
  const session = { identity, createdAt: Date.now() - 2000, expiresAt: Date.now() - 1000 }
  const sealed = codec.seal(hash('sha256', id, 'base64url'), 'identity', session, {
    secret,
    realm: 'app.example.com',
  })
  await bytes.put(storedSession(`__Host-vestibule=${value}`).keyOf('identity'), sealed)
  return value
}

/** World of a replica with one protected host for each way in which a host may be written. */
export const PLAIN_WORLD = {
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
  strangers: [],
  sessions: new Map(),
  unseen: new Set<string>(),
  assertions: new Map(),
  tokens: new Map(),
  badTokens: [],
} satisfies World

/** Settings of a replica in this world. */
export function settingsOf({ hosts, publicUrl, cookieDomain }: World) {
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
  const way = stack.use(await startTcpProxy(redis.port))
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
  const [memory, door, hybrid, wide, wideDoor, wary, streams, lonely] = await Promise.all([
    add(plain, { REDIS_ENABLED: 'false', REDIS_ADDRESS: '' }),
    add(shared),
    add(shared, HYBRID),
    add(domain, HYBRID),
    add(domain),
    add(shared, { TRUSTED_PROXIES: '192.0.2.0/24' }),
    add(shared, { ...HYBRID, ...tls }),
    add(shared, { ...HYBRID, REDIS_ADDRESS: `127.0.0.1:${way.port}` }),
  ])
  await Promise.all([memory, door, hybrid, wide, wideDoor, wary, streams, lonely].map(untilStarted))
  const inMemory = await signEverybodyIn(memory)
  const inRedis = await signEverybodyIn(door)
  const strangers = [...inRedis.strangers, ...(await breakRecords(door, redis))]
  const inDomain = await signEverybodyIn(wideDoor, HOSTS.slice(0, 1))
  const resources = stack.move()
  /** Takes Redis away once. */
  let losing: Promise<World> | undefined
  const loseRedis = () => afterOutage({ door, lonely, way, world: { ...shared, ...inRedis } })
  return {
    memory: () => ({ replica: memory, world: { ...plain, ...inMemory } }),
    redis: () => ({ replica: door, world: { ...shared, ...inRedis, strangers } }),
    hybrid: () => ({ replica: hybrid, world: { ...shared, ...inRedis, strangers } }),
    domain: () => ({ replica: wide, world: { ...domain, ...inDomain } }),
    untrusted: () => ({ replica: wary, world: { ...shared, ...inRedis, isPeerTrusted: false } }),
    streams: () => ({
      replica: streams,
      world: { ...shared, ...inRedis, strangers },
      isHttp2: true,
    }),
    /** A replica that has met some of the sessions, and has lost its Redis since. */
    lonely: async () => ({ replica: lonely, world: await (losing ??= loseRedis()) }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

interface Outage {
  readonly door: RunningVestibule
  readonly lonely: RunningVestibule
  readonly way: TcpProxy
  readonly world: World
}

/** Returns the world behind the outage: all but two sessions were seen before it, and one of these has an assertion. */
async function afterOutage({ door, lonely, way, world }: Outage): Promise<World> {
  const [alice = NOBODY] = PEOPLE
  const host = HOSTS[0] ?? ''
  const [unseen, asserted] = [await door.signIn('alice', host), await door.signIn('alice', host)]
  for (const [value, { host: made }] of world.sessions) {
    await lonely.check({ host: made, uri: '/x' }, { Cookie: `__Host-vestibule=${value}` })
  }
  const { setCookies } = await door.check({ uri: '/x' }, { Cookie: asserted })
  const [, assertion = ''] = /_outage=([^;]+)/.exec(setCookies.join()) ?? []
  const added = [unseen, asserted].map(valueIn)
  await way.refuse()
  await until('an outage', async () => {
    const { status } = await lonely.check({ uri: '/x' }, { Cookie: unseen })
    return status === 503
  })
  return {
    ...world,
    isStoreAway: true,
    sessions: new Map([
      ...world.sessions,
      ...added.map((value) => [value, { person: alice, host }] as const),
    ]),
    // The one that was ended is known to have ended.
    strangers: world.strangers.slice(0, -1),
    unseen: new Set(added),
    assertions: new Map([[valueIn(asserted), assertion]]),
  }
}

const NOBODY: Person = { sub: '', groups: [] }
