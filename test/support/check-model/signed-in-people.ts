import { hash, randomBytes } from 'node:crypto'
import { parseKeys } from '../../../src/config/encryption-keys.ts'
import { createKeyRing } from '../../../src/crypto/key-ring.ts'
import { createSessionCodec } from '../../../src/session/records.ts'
import { AUDIENCE, createProofKey, mintAccessToken } from '../bearers.ts'
import type { TestProvider } from '../provider.ts'
import type { RunningRedis } from '../redis.ts'
import { openRedisBytes } from '../redis-bytes.ts'
import { SERVER_KEY } from '../replicas.ts'
import { storedSession } from '../stored-session.ts'
import { breakSignature } from '../tokens.ts'
import type { RunningVestibule } from '../vestibule.ts'
import { HOSTS, NOBODY, PEOPLE } from './people.ts'
import type { KnownSession, KnownToken, Person } from './world.ts'

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
export function valueIn(header: string): string {
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
  const invalidSessions = [
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
  return { sessions, invalidSessions: [...invalidSessions, ended] }
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
