import { MigrationError } from '../old-configuration.ts'
import { become, type Reading, readNamed, tell } from './reading.ts'

/** Servers that URLs of oauth2-proxy name. Credentials of the last one count for all, as there. */
interface NamedServers {
  readonly servers: readonly string[]
  readonly isTls: boolean
  readonly username: string
  readonly password: string
  readonly database: string
}

const TOPOLOGIES = {
  single: 'redis-connection-url',
  sentinel: 'redis-sentinel-connection-urls',
  cluster: 'redis-cluster-connection-urls',
} as const

type Topology = keyof typeof TOPOLOGIES

/** Reads where sessions are kept. */
export function readSessionStore(reading: Reading): void {
  const { values, draft } = reading
  if (values.text('session-store-type') !== 'redis') {
    draft.note(
      'differs',
      values.label('session-store-type'),
      'sessions were in cookies alone; here one process keeps them in memory and loses them when it ends. For several replicas, or sessions that outlive a restart, set `redis` in `vestibule.yaml` (docs/redis.md)',
    )
    for (const name of values.names().filter((each) => each.startsWith('redis-')))
      tell(reading, name, 'dropped', 'had no effect without `session-store-type=redis`')
    return
  }
  draft.set('REDIS_ENABLED', true)
  tell(
    reading,
    'session-store-type',
    'carried',
    'is `REDIS_ENABLED`; sessions of oauth2-proxy are left as they are, under other keys',
  )
  const topology = topologyOf(reading)
  const named = serversOf(reading, topology)
  setServers(reading, topology, named)
  setCredentials(reading, topology, named)
  setTls(reading, named.isTls)
  tellOthers(reading, topology)
}

function topologyOf({ values }: Reading): Topology {
  if (values.isOn('redis-use-sentinel')) return 'sentinel'
  return values.isOn('redis-use-cluster') ? 'cluster' : 'single'
}

function serversOf({ values }: Reading, topology: Topology): NamedServers {
  const name = TOPOLOGIES[topology]
  const urls = topology === 'single' ? [values.text(name) ?? ''] : values.list(name)
  const parsed = urls.map((text) => URL.parse(text))
  const last = parsed.at(-1)
  const [username, password] = [last?.username, last?.password].map(unescaped)
  if (
    !last ||
    username === undefined ||
    password === undefined ||
    parsed.some((url) => !url || !/^rediss?:$/.test(url.protocol))
  ) {
    throw new MigrationError([
      `${values.label(name)} has no addresses such as redis://redis.example.com:6379, without which Redis cannot be carried over`,
    ])
  }
  return {
    servers: parsed.map((url) => `${url?.hostname}:${url?.port || 6379}`),
    isTls: last.protocol === 'rediss:',
    username,
    password,
    database: last.pathname.slice(1),
  }
}

/** Decodes a part of an address; `undefined` where an escape is broken. */
function unescaped(part = ''): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

function setServers(
  reading: Reading,
  topology: Topology,
  { servers, database }: NamedServers,
): void {
  const { draft, values } = reading
  const name = TOPOLOGIES[topology]
  if (topology === 'sentinel') {
    become(reading, name, 'REDIS_SENTINEL_ADDRESSES', servers)
    const master = values.text('redis-sentinel-master-name')
    if (master === undefined)
      draft.note(
        'todo',
        '--redis-sentinel-master-name',
        'was not given: set `redis.sentinelMaster`',
      )
    else become(reading, 'redis-sentinel-master-name', 'REDIS_SENTINEL_MASTER', master)
    return
  }
  draft.set('REDIS_ADDRESS', servers.join(','))
  if (topology === 'cluster') draft.set('REDIS_CLUSTER', true)
  if (/^\d+$/.test(database) && topology === 'single') draft.set('REDIS_DB', Number(database))
  tell(reading, name, 'carried', 'is `REDIS_ADDRESS`; user and password have settings of their own')
}

function setCredentials(reading: Reading, topology: Topology, named: NamedServers): void {
  const { draft, values } = reading
  const username = values.text('redis-username') ?? named.username
  const password = values.text('redis-password') ?? named.password
  if (username !== '') draft.set('REDIS_USERNAME', username)
  tell(reading, 'redis-username', 'carried', 'is `REDIS_USERNAME`')
  if (password !== '') draft.keepSecret('REDIS_PASSWORD', password)
  tell(reading, 'redis-password', 'carried', 'is `REDIS_PASSWORD`, in a file of its own')
  const ofSentinels = values.text('redis-sentinel-password')
  if (topology !== 'sentinel' || ofSentinels === undefined) return
  draft.keepSecret('REDIS_SENTINEL_PASSWORD', ofSentinels)
  tell(
    reading,
    'redis-sentinel-password',
    'carried',
    'is `REDIS_SENTINEL_PASSWORD`, in a file of its own',
  )
}

function setTls(reading: Reading, isTlsByScheme: boolean): void {
  const { draft, values } = reading
  const skips = values.isOn('redis-insecure-skip-tls-verify')
  const isTls = isTlsByScheme || skips || values.text('redis-ca-path') !== undefined
  if (isTls) draft.set('REDIS_ENABLE_TLS', true)
  if (skips) become(reading, 'redis-insecure-skip-tls-verify', 'REDIS_TLS_SKIP_VERIFY', true)
  else tell(reading, 'redis-insecure-skip-tls-verify', 'carried', 'is off')
  const ca = readNamed(reading, 'redis-ca-path', 'name the certificate in `redis.caFile`')
  if (ca !== undefined)
    become(reading, 'redis-ca-path', 'REDIS_CA_FILE', values.text('redis-ca-path') ?? '')
}

function tellOthers(reading: Reading, topology: Topology): void {
  for (const [each, name] of Object.entries(TOPOLOGIES)) {
    if (each !== topology) tell(reading, name, 'dropped', 'did not count')
  }
  for (const name of ['redis-use-sentinel', 'redis-use-cluster'])
    tell(reading, name, 'carried', `the addresses are those of ${TOPOLOGIES[topology]}`)
  if (topology !== 'sentinel') {
    for (const name of ['redis-sentinel-master-name', 'redis-sentinel-password'])
      tell(reading, name, 'dropped', 'did not count without Sentinels')
  }
  tell(
    reading,
    'redis-connection-idle-timeout',
    'dropped',
    'a few connections stay open, and a broken one is replaced',
  )
  tell(
    reading,
    'session-store-type',
    'differs',
    'the user of Redis needs rights for the keys `vestibule:*` and the channels (docs/redis.md)',
  )
}
