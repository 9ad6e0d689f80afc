import { test } from 'vitest'
import { startTcpProxy } from '../../stand-ins/network/tcp-proxy.ts'
import { type RedisOptions, startRedis } from './redis.ts'

/** Test that gets an own `redis` and a `proxy` before it, each started where the test names it. */
export const redisTest = test
  .extend('options', {} as RedisOptions)
  .extend('redis', async ({ options }, { onCleanup }) => {
    const redis = await startRedis(options)
    onCleanup(redis.stop)
    return redis
  })
  .extend('proxy', async ({ redis }, { onCleanup }) => {
    const proxy = await startTcpProxy(redis.port)
    onCleanup(proxy.close)
    return proxy
  })
