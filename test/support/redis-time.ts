import { until } from './own-lag.ts'

/** Asks one server as an administrator; answers as `RunningRedis.cli` does. */
export type AskRedis = (...args: string[]) => Promise<string>

/** KEYS key · ARGV ms. Leaves a key that has no end as it is, which a test then finds still there. */
const AGE = `
local left = redis.call('PTTL', KEYS[1])
if left < 0 then return end
if redis.call('TYPE', KEYS[1]).ok == 'zset' then
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], -ARGV[1], member)
  end
end
redis.call('PEXPIRE', KEYS[1], left - ARGV[1])`

/**
 * Brings every end in Redis nearer by `ms`, so that no test has to wait for one: times to live and, in sorted sets, the
 * ends that are scores. The clocks of the servers go on as ever.
 */
export const elapseInRedis = async (
  servers: readonly AskRedis[],
  prefix: string,
  ms: number,
): Promise<void> => {
  await Promise.all(
    servers.map(async (ask) => {
      const keys = (await ask('KEYS', `${prefix}*`)).split('\n').filter((key) => key !== '')
      const counter = keys.find((key) => key === `${prefix}{generation}`)
      const generation = counter === undefined ? 0 : Number(await ask('GET', counter))
      await Promise.all(keys.map((key) => ask('EVAL', AGE, '1', key, `${ms}`)))
      // A counter that is lost goes on from the server's clock, which it may be ahead of by as much as was counted.
      await until('a clock ahead of the counter', async () => {
        const [seconds, microseconds] = (await ask('TIME')).split('\n').map(Number)
        return (seconds as number) * 1000 + (microseconds as number) / 1000 > generation + 2
      })
    }),
  )
}
