import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ValueError } from '../../src/config/config-error.ts'
import { parseRedisAddress } from '../../src/config/redis/address.ts'
import type { RedisAddress } from '../../src/config/redis/server.ts'
import { rows } from '../support/words.ts'

type Said = Partial<Omit<RedisAddress, 'servers'> & { host: string; port: number }>

const PLAIN = { host: 'redis', port: 6379, isTls: false }
const SECURE = { port: 6380, isTls: true }
const APP = { username: 'app', password: 'secret' }
const FULL = { host: '2001:db8::7', password: 'x', database: 1 }

test.for<[string, Said]>([
  ...rows`redis redis://redis redis://redis/`({}),
  ...rows`redis:6380 \x20\x20redis:6380\x20\x20 redis:6380, REDIS://redis:6380`({ port: 6380 }),
  ['redis.example.com:1', { host: 'redis.example.com', port: 1 }],
  ['my_redis-0.svc:65535', { host: 'my_redis-0.svc', port: 65_535 }],
  ['Redis', { host: 'Redis' }],
  ['127.0.0.1', { host: '127.0.0.1' }],
  ...rows`127.0.0.1:7000 redis://127.0.0.1:7000`({ host: '127.0.0.1', port: 7000 }),
  ...rows`[::1] redis://[::1]`({ host: '::1' }),
  ['[2001:db8::7]:6380', { host: '2001:db8::7', port: 6380 }],
  ...rows`redis,password=secret redis://:secret@redis`({ password: 'secret' }),
  ['redis,password=', { password: '' }],
  ['redis:6380,password=a=b,ssl=True,abortConnect=False', { ...SECURE, password: 'a=b' }],
  ['redis:6380, PASSWORD=x , Ssl=TRUE', { ...SECURE, password: 'x' }],
  ['redis,password=aGVsbG8=,ssl=false', { password: 'aGVsbG8=' }],
  ['redis,password=%41', { password: '%41' }],
  ['redis,user=app,password=x', { username: 'app', password: 'x' }],
  ['redis,defaultDatabase=3', { database: 3 }],
  ...rows`redis,DefaultDatabase=0 redis://redis/0`({ database: 0 }),
  ['[::1]:6380,ssl=true', { ...SECURE, host: '::1' }],
  ...rows`redis,ssl=True redis,SSL=true,abortConnect=false redis,ssl=1 redis,ssl=Yes redis,ssl=on,abortConnect=0`(
    SECURE,
  ),
  ...rows`redis,ssl=False redis,ssl=0 redis,ssl=no redis,ssl=Off`({}),
  ['redis:6379,ssl=True', { isTls: true }],
  [
    'redis:6380,ssl=true,sslHost=cache.example.com',
    { ...SECURE, tlsServerName: 'cache.example.com' },
  ],
  [
    'redis,connectTimeout=1500,SyncTimeout=5000',
    { connectTimeoutMs: 1500, commandTimeoutMs: 5000 },
  ],
  ['redis,connectTimeout=100000', { connectTimeoutMs: 60_000 }],
  ['redis,name=my app', { clientName: 'myapp' }],
  ['redis,name=', {}],
  [
    'redis:6379,allowAdmin=True,KEEPALIVE=60,password=x,connectRetry=3,proxy=None,tiebreaker=',
    {
      password: 'x',
      ignoredOptions: ['allowAdmin', 'keepAlive', 'connectRetry', 'proxy', 'tiebreaker'],
    },
  ],
  [
    'cache.redis.cache.windows.net:6380,password={password}=,ssl=True,abortConnect=False',
    { ...SECURE, host: 'cache.redis.cache.windows.net', password: '{password}=' },
  ],
  ['redis://redis:6380/5', { port: 6380, database: 5 }],
  ['redis://app@redis', { username: 'app' }],
  ['redis://app:secret@redis:6380/15', { ...APP, port: 6380, database: 15 }],
  ['redis://a%40b:p%2Fw%3A%25%F0%9F%90%88@redis', { username: 'a@b', password: 'p/w:%🐈' }],
  ['redis://:a=b,c@redis', { password: 'a=b,c' }],
  ['rediss://redis', { isTls: true }],
  ['rediss://app:secret@redis:6380', { ...APP, ...SECURE }],
  ['rediss://:x@[2001:db8::7]:6380/1', { ...SECURE, ...FULL }],
])('%s is understood', ([text, said]) => {
  const { host, port, ...rest } = { ...PLAIN, ...said }
  expect(parseRedisAddress(text)).toEqual({ servers: [{ host, port }], ...rest })
})

test.for<[string, string[], Said]>([
  ['a:6379,b:6380', ['a:6379', 'b:6380'], {}],
  ['a,b:6380', ['a:6379', 'b:6380'], {}],
  ['a:1, [::1]:2 ,c:3,', ['a:1', '::1:2', 'c:3'], {}],
  ['a,b:1,ssl=True', ['a:6380', 'b:1'], { isTls: true }],
  ['a:1,b:2,password=x:3,ssl=True', ['a:1', 'b:2'], { password: 'x:3', isTls: true }],
])('%s names several servers', ([text, servers, said]) => {
  const { servers: parsed, ...rest } = parseRedisAddress(text)
  expect(parsed.map(({ host, port }) => `${host}:${port}`)).toEqual(servers)
  expect(rest).toEqual({ isTls: false, ...said })
})

test.for<[string, RegExp]>([
  ['', /does not begin with host:port/],
  ...rows`
    :6379 redis: redis:port redis:0 redis:65536 redis:123456 redis\x206379 ::1 [::1 rédis redis/0
    hunter2@redis:6379 password=hunter2 redis+sentinel://redis redis:6379,other:0
  `(/does not begin with host:port/),
  ...rows`
    redis,hunter2 redis,password=hun,ter2 redis,password=hun,ter2:6379 redis:6379,hunter2
    redis:6379,:6379
  `(/names a server without its port, or an option without a value/),
  ...rows`redis,ssl=2 redis,ssl=`(/ssl that is neither True nor False/),
  ['redis,password=correct,Hunter2terbattery==', /an unknown option/],
  ...rows`redis,syncTimeout=0 redis,connectTimeout=0`(/Timeout of 0 milliseconds/),
  ...rows`redis,syncTimeout=5s redis,connectTimeout=`(/Timeout that is no number/),
  ['redis,ssl=True,sslHost=hunter2/x', /an sslHost that is no host name/],
  [
    'redis,serviceName=mymaster',
    /serviceName: set REDIS_SENTINEL_ADDRESSES .* REDIS_SENTINEL_MASTER/,
  ],
  ['redis,proxy=Twemproxy', /proxy: .* name the server itself/],
  ['redis,tunnel=http:hunter2:8080', /tunnel: .* remove it/],
  ...rows`redis,$INFO= redis,$config=hunter2`(/renames commands/),
  ['redis,abortConnect=maybe', /abortConnect that is neither True nor False/],
  ['redis,abortConnect=True', /the service always starts: remove it/],
  ...rows`
    redis,defaultDatabase=one redis,defaultDatabase=-1 redis,defaultDatabase=1000000000
  `(/defaultDatabase that is no number/),
  ...rows`redis,hunter2=x redis,constructor=x redis,__proto__=x redis,timeout=5000`(
    /an unknown option; the options are user, pass/,
  ),
  ...rows`
    http://redis unix:///run/redis.sock redis:// redis://:hunter2@ redis://redis:port
    redis://redis:65536 redis://redis:0 redis://re\x20dis redis://a,b:6379
  `(/URL such as redis:\/\/redis\.example\.com:6379/),
  ...rows`redis://:hunter#2@redis redis://:hun/ter2@redis`(/URL such as redis:|after the port/),
  ...rows`
    redis://redis/db redis://redis/1000000000 redis://redis/1/2 redis://redis/-1
    redis://redis?db=1 redis://redis#1
  `(/more after the port than the number of a database/),
  ...rows`redis://:hunter2%@redis redis://%ff@redis`(
    /% in its user or password that is not written as %25/,
  ),
])('%s is refused', ([text, reason]) => {
  expect(() => parseRedisAddress(text)).toThrow(ValueError)
  expect(() => parseRedisAddress(text)).toThrow(reason)
  expect(() => parseRedisAddress(text)).not.toThrow(/hunter|ter2/i)
})

test('whatever it is, it is understood or refused, and the password is never in the message', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9=,:/@#%?[\] -]{8,30}$/)
  const around = fc.constantFrom(
    (password: string) => `redis,password=${password}`,
    (password: string) => `redis:6380,ssl=True,password=${password},abortConnect=x`,
    (password: string) => `redis://:${password}@redis/x`,
    (password: string) => `rediss://app:${password}@redis:port`,
    (password: string) => password,
  )
  const tell = (text: string) => {
    try {
      parseRedisAddress(text)
      return ''
    } catch (error) {
      expect(error).toBeInstanceOf(ValueError)
      return (error as Error).message
    }
  }
  fc.assert(
    fc.property(secret, around, (password, build) => {
      const message = tell(build(password))
      for (let at = 0; at + 6 <= password.length; at += 1)
        expect(message).not.toContain(password.slice(at, at + 6))
    }),
    { numRuns: 2000 },
  )
})
