import { ValueError } from '../config-error.ts'
/** Content of a Redis address; everything else has a setting of its own. */
export interface RedisAddress {
  /** More than one only for a cluster. */
  readonly servers: readonly [RedisServer, ...RedisServer[]]
  readonly isTls: boolean
  readonly username?: string
  readonly password?: string
  readonly database?: number
}

export interface RedisServer {
  readonly host: string
  readonly port: number
}

const DEFAULT_PORT = 6379
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/i

/**
 * Parses `redis://` and `rediss://` URLs, `host:port`, and StackExchange's
 * `host:port,host:port,password=…,ssl=True`. Throws `ValueError` that never quotes the address because it may hold
 * a password.
 */
export function parseRedisAddress(text: string): RedisAddress {
  return /^[a-z]+:\/\//i.test(text) ? parseUrl(text) : parseConnectionString(text)
}

function parseUrl(text: string): RedisAddress {
  const url = URL.parse(text)
  if (!url || !/^rediss?:$/.test(url.protocol) || !HOST.test(url.hostname) || url.port === '0') {
    throw new ValueError('is not a URL such as redis://redis.example.com:6379')
  }
  const database = /^\/?(\d{0,9})$/.exec(url.pathname + url.search + url.hash)?.[1]
  if (database === undefined) {
    throw new ValueError('has more after the port than the number of a database')
  }
  return {
    servers: [
      { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || DEFAULT_PORT) },
    ],
    isTls: url.protocol === 'rediss:',
    ...given('username', decode(url.username)),
    ...given('password', decode(url.password)),
    ...(database && { database: Number(database) }),
  }
}

function given(name: 'username' | 'password', value: string): Partial<RedisAddress> {
  return value === '' ? {} : { [name]: value }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ValueError('has a % in its user or password that is not written as %25')
  }
}

/** Options of StackExchange.Redis in lower case, and how each is read. */
const OPTIONS = new Map<string, (value: string) => Partial<RedisAddress>>([
  ['user', (username) => ({ username })],
  ['password', (password) => ({ password })],
  ['ssl', (value) => ({ isTls: parseFlag('ssl', value) })],
  ['defaultdatabase', (value) => ({ database: parseNumber('defaultDatabase', value) })],
  ['abortconnect', parseAbortConnect],
])

function parseAbortConnect(value: string): Partial<RedisAddress> {
  if (!parseFlag('abortConnect', value)) return {}
  throw new ValueError('says abortConnect=True, but the service always starts: remove it')
}

function parseConnectionString(text: string): RedisAddress {
  const [endpoint = '', ...rest] = text.split(',').map((part) => part.trim())
  const firstOption = rest.findIndex((part) => !FURTHER_SERVER.test(part))
  const further = firstOption === -1 ? rest : rest.slice(0, firstOption)
  const options = rest.slice(further.length)
  const servers = [endpoint, ...further].map((server) => parseServer(server, DEFAULT_PORT))
  const given = options.filter((option) => option !== '').map(parseOption)
  return Object.assign({ servers, isTls: false }, ...given) as RedisAddress
}

/** A further server needs its port because a text without one may be part of a password with a comma. */
const FURTHER_SERVER = /^[^=]+:\d+$/

/** Parses `host:port`, or `host` with the default port. Throws `ValueError`. */
export function parseServer(endpoint: string, defaultPort: number): RedisServer {
  const groups = /^(?:\[(?<v6>[0-9a-f:]+)\]|(?<name>[A-Za-z0-9._-]+))(?::(?<port>\d{1,5}))?$/i.exec(
    endpoint,
  )?.groups
  const host = groups?.['v6'] ?? groups?.['name']
  const port = Number(groups?.['port'] ?? defaultPort)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new ValueError('does not begin with host:port')
  }
  return { host, port }
}

function parseOption(option: string): Partial<RedisAddress> {
  const [name = '', ...rest] = option.split('=')
  if (rest.length === 0)
    throw new ValueError('names a server without its port, or an option without a value')
  const parse = OPTIONS.get(name.toLowerCase())
  if (!parse) {
    // Does not quote the option because it may be part of a password with a comma.
    throw new ValueError(
      'has an unknown option; the options are user, password, ssl, defaultDatabase and abortConnect',
    )
  }
  return parse(rest.join('='))
}

function parseFlag(name: string, value: string): boolean {
  if (/^(?:true|false)$/i.test(value)) return value.toLowerCase() === 'true'
  throw new ValueError(`has an ${name} that is neither True nor False`)
}

function parseNumber(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value)
  throw new ValueError(`has a ${name} that is no number`)
}
