import { ValueError } from '../config-error.ts'
import type { RedisAddress } from './server.ts'
import { parseConnectionString } from './stack-exchange.ts'

const DEFAULT_PORT = 6379
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/i

/**
 * Parses `redis://` and `rediss://` URLs, `host:port`, and StackExchange's
 * `host:port,host:port,password=…,ssl=True`. Throws `ValueError` that never quotes the address because it may hold
 * a password.
 */
export function parseRedisAddress(text: string): RedisAddress {
  const trimmed = text.trim()
  return /^[a-z]+:\/\//i.test(trimmed) ? parseUrl(trimmed) : parseConnectionString(trimmed)
}

function parseUrl(text: string): RedisAddress {
  const url = URL.parse(withoutBlanks(text))
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

/** Takes away blanks and line ends around user, password, host, port and database (C55). */
function withoutBlanks(text: string): string {
  const [, scheme = '', credentials = '', place = ''] = /^([^/]*\/\/)(.*@)?(.*)$/s.exec(text) ?? []
  const [user = '', ...password] = credentials.slice(0, -1).split(':')
  const parts = [user, ...(password.length > 0 ? [password.join(':')] : [])]
  const trimmed = parts.map((part) => part.trim()).join(':')
  const at = credentials === '' ? '' : '@'
  return `${scheme}${trimmed}${at}${place.replaceAll(/\s*([:/])\s*/g, '$1').trim()}`
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
