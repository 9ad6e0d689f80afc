/** Each script touches one slot, and each may be carried out twice or late without harm. */

/** KEYS s t m x · ARGV ttlMs s t m. What has a tombstone stays dead. */
export const CREATE = `
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
for part = 1, 3 do redis.call('SET', KEYS[part], ARGV[part + 1], 'PX', ARGV[1]) end
return 1`

/**
 * KEYS s t m l x · ARGV tombstoneMs channel message. The deletion comes first: what frees memory may be followed by
 * what takes some, also when Redis is full (fault F06); a replica refuses it, which a bare PUBLISH would not (F09).
 */
export const END = `
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('SET', KEYS[5], '1', 'PX', ARGV[1])
return redis.call('PUBLISH', ARGV[2], ARGV[3])`

/** KEYS marker · ARGV attemptId ttlMs. \`SET NX GET\` for Redis before 7.0; answers with the owner that was there. */
export const CONSUME = `
local owner = redis.call('GET', KEYS[1])
if not owner then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return owner`

/** KEYS marker · ARGV attemptId ttlMs. */
export const EXTEND = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`

/** KEYS marker · ARGV attemptId. */
export const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

/** Milliseconds of Redis's own clock, so that replicas whose clocks differ order the ends alike. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/**
 * KEYS index · ARGV ttlMs digest. The index lives as long as the longest session in it. What is no index at its place
 * gives way, so that it keeps nobody from signing in (threat A91).
 */
export const INDEX_ADD = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`

/** KEYS index. */
export const INDEX_LIST = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {} end
return redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')`
