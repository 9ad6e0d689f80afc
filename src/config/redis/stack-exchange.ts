import { ValueError } from '../config-error.ts'
import { parseServer, type RedisAddress } from './server.ts'

/**
 * Parses the connection strings of StackExchange.Redis: `host:port,host:port,password=…,ssl=True`. Throws `ValueError`
 * that never quotes the string because it may hold a password.
 */
export function parseConnectionString(text: string): RedisAddress {
  const [endpoint = '', ...rest] = text.split(',').map((part) => part.trim())
  const firstOption = rest.findIndex((part) => !FURTHER_SERVER.test(part))
  const further = firstOption === -1 ? rest : rest.slice(0, firstOption)
  const options = rest.slice(further.length).filter((option) => option !== '')
  // Reports a wrong server first, as the string is read from left to right.
  const parse = (port: number): RedisAddress['servers'] => [
    parseServer(endpoint, port),
    ...further.map((server) => parseServer(server, port)),
  ]
  parse(PLAIN_PORT)
  const read: Partial<RedisAddress>[] = options.map(parseOption)
  const ignoredOptions = read.flatMap((each) => each.ignoredOptions ?? [])
  const address = Object.assign({ isTls: false }, ...read) as Omit<RedisAddress, 'servers'>
  return {
    ...address,
    servers: parse(address.isTls ? TLS_PORT : PLAIN_PORT),
    ...(ignoredOptions.length > 0 && { ignoredOptions }),
  }
}

const PLAIN_PORT = 6379
/** Port of StackExchange.Redis with `ssl=True` and none given. */
const TLS_PORT = 6380

/** A further server needs its port because a text without one may be part of a password with a comma. */
const FURTHER_SERVER = /^[^=]+:\s*\d+$/

/** Bounds time limits as those of the settings are bounded. */
const MAX_TIMEOUT_MS = 60_000

/** Options of StackExchange.Redis in lower case, and how each is read. */
const OPTIONS = new Map<string, (value: string) => Partial<RedisAddress>>([
  ['user', (username) => ({ username })],
  ['password', (password) => ({ password })],
  ['ssl', (value) => ({ isTls: parseFlag('ssl', value) })],
  ['sslhost', (value) => ({ tlsServerName: parseServerName(value) })],
  ['defaultdatabase', (value) => ({ database: parseNumber('defaultDatabase', value) })],
  ['name', parseName],
  ['connecttimeout', (value) => ({ connectTimeoutMs: parseMs('connectTimeout', value) })],
  ['synctimeout', (value) => ({ commandTimeoutMs: parseMs('syncTimeout', value) })],
  ['abortconnect', parseAbortConnect],
  [
    'servicename',
    refuse(
      'serviceName: set REDIS_SENTINEL_ADDRESSES to the Sentinels and REDIS_SENTINEL_MASTER to that name',
    ),
  ],
  ['proxy', parseProxy],
  ['tunnel', refuse('tunnel: connections go straight to the server; remove it')],
  ...[
    'allowAdmin',
    'asyncTimeout',
    'channelPrefix',
    'checkCertificateRevocation',
    'configChannel',
    'configCheckSeconds',
    'connectRetry',
    'highIntegrity',
    'highPriorityThreads',
    'keepAlive',
    'preserveAsyncOrder',
    'protocol',
    'resolveDns',
    'responseTimeout',
    'setlib',
    'sslProtocols',
    'tiebreaker',
    'version',
    'writeBuffer',
  ].map((name) => [name.toLowerCase(), () => ({ ignoredOptions: [name] })] as const),
])

function parseOption(option: string): Partial<RedisAddress> {
  const [name = '', ...rest] = option.split('=')
  if (rest.length === 0)
    throw new ValueError('names a server without its port, or an option without a value')
  if (/^\$[a-z]+\s*$/i.test(name)) {
    throw new ValueError('renames commands ($…=…), which is not supported: remove it')
  }
  const parse = OPTIONS.get(name.trim().toLowerCase())
  if (!parse) {
    // Does not quote the option because it may be part of a password with a comma.
    throw new ValueError(
      'has an unknown option; the options are user, password, ssl, sslHost, defaultDatabase, name, connectTimeout, syncTimeout and abortConnect. A password with a comma belongs into REDIS_PASSWORD',
    )
  }
  return parse(rest.join('=').trim())
}

function refuse(what: string): () => never {
  return () => {
    throw new ValueError(`has the option ${what}`)
  }
}

function parseAbortConnect(value: string): Partial<RedisAddress> {
  if (!parseFlag('abortConnect', value)) return {}
  throw new ValueError('says abortConnect=True, but the service always starts: remove it')
}

function parseProxy(value: string): Partial<RedisAddress> {
  if (value.toLowerCase() === 'none') return { ignoredOptions: ['proxy'] }
  throw new ValueError(
    'has the option proxy: scripts and pub/sub, which are needed, do not go through such a proxy: name the server itself',
  )
}

/** Leaves out what StackExchange.Redis leaves out of a name. */
function parseName(value: string): Partial<RedisAddress> {
  const clientName = value.replaceAll(/[^!-~]+/g, '')
  return clientName === '' ? {} : { clientName }
}

function parseServerName(value: string): string {
  if (/^[A-Za-z0-9._-]{1,253}$/.test(value)) return value
  throw new ValueError('has an sslHost that is no host name')
}

/** Takes the words that StackExchange.Redis takes. */
function parseFlag(name: string, value: string): boolean {
  if (/^(?:true|yes|on|1)$/i.test(value)) return true
  if (/^(?:false|no|off|0)$/i.test(value)) return false
  throw new ValueError(`has an ${name} that is neither True nor False`)
}

function parseNumber(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value)
  throw new ValueError(`has a ${name} that is no number`)
}

function parseMs(name: string, value: string): number {
  const ms = parseNumber(name, value)
  if (ms > 0) return Math.min(ms, MAX_TIMEOUT_MS)
  throw new ValueError(`has a ${name} of 0 milliseconds`)
}
