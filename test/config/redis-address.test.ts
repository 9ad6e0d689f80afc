import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  parseRedisAddress,
  type RedisAddress,
  type ServerAddress,
} from '../../src/config/redis/address.ts'

type Said = Partial<ServerAddress & Omit<RedisAddress, 'servers'>>

/** Parsed address without any option. */
const PLAIN = { host: 'redis', port: 6379, isTls: false }

describe('an address of Redis', () => {
  test.for<[string, Said]>([
    ['redis', {}],
    ['redis:6380', { port: 6380 }],
    ['redis.example.com:1', { host: 'redis.example.com', port: 1 }],
    ['my_redis-0.svc:65535', { host: 'my_redis-0.svc', port: 65_535 }],
    ['Redis', { host: 'Redis' }],
    ['127.0.0.1', { host: '127.0.0.1' }],
    ['127.0.0.1:7000', { host: '127.0.0.1', port: 7000 }],
    ['[::1]', { host: '::1' }],
    ['[2001:db8::7]:6380', { host: '2001:db8::7', port: 6380 }],
    ['  redis:6380  ', { port: 6380 }],
    ['redis:6380,', { port: 6380 }],
    ['redis,password=secret', { password: 'secret' }],
    ['redis,password=', { password: '' }],
    [
      'redis:6380,password=a=b,ssl=True,abortConnect=False',
      { port: 6380, password: 'a=b', isTls: true },
    ],
    ['redis:6380, PASSWORD=x , Ssl=TRUE', { port: 6380, password: 'x', isTls: true }],
    ['redis,password=aGVsbG8=,ssl=false', { password: 'aGVsbG8=' }],
    ['redis,password=%41', { password: '%41' }],
    ['redis,user=app,password=x', { username: 'app', password: 'x' }],
    ['redis,defaultDatabase=3', { database: 3 }],
    ['redis,DefaultDatabase=0', { database: 0 }],
    ['[::1]:6380,ssl=true', { host: '::1', port: 6380, isTls: true }],
    ['redis://redis', {}],
    ['REDIS://redis:6380', { port: 6380 }],
    ['redis://redis/', {}],
    ['redis://redis:6380/5', { port: 6380, database: 5 }],
    ['redis://redis/0', { database: 0 }],
    ['redis://:secret@redis', { password: 'secret' }],
    ['redis://app@redis', { username: 'app' }],
    [
      'redis://app:secret@redis:6380/15',
      {
        username: 'app',
        password: 'secret',
        port: 6380,
        database: 15,
      },
    ],
    ['redis://a%40b:p%2Fw%3A%25%F0%9F%90%88@redis', { username: 'a@b', password: 'p/w:%🐈' }],
    ['redis://:a=b,c@redis', { password: 'a=b,c' }],
    ['rediss://redis', { isTls: true }],
    [
      'rediss://app:secret@redis:6380',
      {
        isTls: true,
        username: 'app',
        password: 'secret',
        port: 6380,
      },
    ],
    ['redis://[::1]', { host: '::1' }],
    [
      'rediss://:x@[2001:db8::7]:6380/1',
      {
        host: '2001:db8::7',
        port: 6380,
        isTls: true,
        password: 'x',
        database: 1,
      },
    ],
    ['redis://127.0.0.1:7000', { host: '127.0.0.1', port: 7000 }],
  ])('%s is understood', ([text, said], { expect }) => {
    const { host, port, ...rest } = { ...PLAIN, ...said }
    expect(parseRedisAddress(text)).toEqual({ servers: [{ host, port }], ...rest })
  })

  test.for<[string, string[], Said]>([
    ['a:6379,b:6380', ['a:6379', 'b:6380'], {}],
    ['a,b:6380', ['a:6379', 'b:6380'], {}],
    ['a:1, [::1]:2 ,c:3,', ['a:1', '::1:2', 'c:3'], {}],
    ['a:1,b:2,password=x:3,ssl=True', ['a:1', 'b:2'], { password: 'x:3', isTls: true }],
  ])('%s names several servers', ([text, servers, said], { expect }) => {
    const { servers: parsed, ...rest } = parseRedisAddress(text)
    expect(parsed.map(({ host, port }) => `${host}:${port}`)).toEqual(servers)
    expect(rest).toEqual({ isTls: false, ...said })
  })

  test.for<[string, RegExp]>([
    ['', /does not begin with host:port/],
    [':6379', /does not begin with host:port/],
    ['redis:', /does not begin with host:port/],
    ['redis:port', /does not begin with host:port/],
    ['redis:0', /does not begin with host:port/],
    ['redis:65536', /does not begin with host:port/],
    ['redis:123456', /does not begin with host:port/],
    ['redis 6379', /does not begin with host:port/],
    ['::1', /does not begin with host:port/],
    ['[::1', /does not begin with host:port/],
    ['rédis', /does not begin with host:port/],
    ['redis/0', /does not begin with host:port/],
    ['hunter2@redis:6379', /does not begin with host:port/],
    ['password=hunter2', /does not begin with host:port/],
    ['redis+sentinel://redis', /does not begin with host:port/],
    ['redis,hunter2', /names a server without its port, or an option without a value/],
    ['redis,password=hun,ter2', /names a server without its port, or an option without a value/],
    ['redis,password=hun,ter2:6379', /names a server without its port, or an option/],
    ['redis:6379,hunter2', /names a server without its port/],
    ['redis:6379,:6379', /names a server without its port/],
    ['redis:6379,other:0', /does not begin with host:port/],
    ['redis,ssl=yes', /ssl that is neither True nor False/],
    ['redis,ssl=', /ssl that is neither True nor False/],
    ['redis,abortConnect=maybe', /abortConnect that is neither True nor False/],
    ['redis,abortConnect=True', /the service always starts: remove it/],
    ['redis,defaultDatabase=one', /defaultDatabase that is no number/],
    ['redis,defaultDatabase=-1', /defaultDatabase that is no number/],
    ['redis,defaultDatabase=1000000000', /defaultDatabase that is no number/],
    ['redis,syncTimeout=5000', /an unknown option; the options are user, pass/],
    ['redis,hunter2=x', /an unknown option/],
    ['redis,constructor=x', /an unknown option/],
    ['redis,__proto__=x', /an unknown option/],
    ['http://redis', /URL such as redis:\/\/redis\.example\.com:6379/],
    ['unix:///run/redis.sock', /URL such as redis:/],
    ['redis://', /URL such as redis:/],
    ['redis://:hunter2@', /URL such as redis:/],
    ['redis://redis:port', /URL such as redis:/],
    ['redis://redis:65536', /URL such as redis:/],
    ['redis://redis:0', /URL such as redis:/],
    ['redis://re dis', /URL such as redis:/],
    ['redis://:hunter#2@redis', /URL such as redis:|more after the port/],
    ['redis://:hun/ter2@redis', /URL such as redis:|more after the port/],
    ['redis://redis/db', /more after the port than the number of a database/],
    ['redis://redis/1000000000', /more after the port/],
    ['redis://redis/1/2', /more after the port/],
    ['redis://redis/-1', /more after the port/],
    ['redis://redis?db=1', /more after the port/],
    ['redis://redis#1', /more after the port/],
    ['redis://a,b:6379', /URL such as redis:/],
    ['redis://:hunter2%@redis', /% in its user or password that is not written as %25/],
    ['redis://%ff@redis', /% in its user or password/],
  ])('%s is refused', ([text, reason], { expect }) => {
    expect(() => parseRedisAddress(text)).toThrow(TypeError)
    expect(() => parseRedisAddress(text)).toThrow(reason)
    expect(() => parseRedisAddress(text)).not.toThrow(/hunter|ter2/)
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
        expect(error).toBeInstanceOf(TypeError)
        return (error as Error).message
      }
    }
    fc.assert(
      fc.property(secret, around, (password, build) => {
        const message = tell(build(password))
        for (let at = 0; at + 6 <= password.length; at += 1) {
          expect(message).not.toContain(password.slice(at, at + 6))
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('a piece of a password with a comma in it is not taken for the name of an option', () => {
    const address = 'redis,password=correct,Horsebattery=='
    expect(() => parseRedisAddress(address)).toThrow(TypeError)
    expect(() => parseRedisAddress(address)).not.toThrow(/Horse/)
  })
})
