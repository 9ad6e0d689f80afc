/** Each script touches one slot, and each may be carried out twice or late without harm. */

/** KEYS s t m x · ARGV ttlMs s t m. What has a tombstone stays dead. */
export const CREATE = `
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
for part = 1, 3 do redis.call('SET', KEYS[part], ARGV[part + 1], 'PX', ARGV[1]) end
return 1`

/**
 * KEYS s t · ARGV before s t channel message. Compares and sets: neither somebody who comes late nor somebody who has not
 * heard of the end writes. What was read is compared as a whole, for no two sealed values are the same. Its own value is
 * found where the script is carried out twice.
 */
export const REPLACE = `
local found = redis.call('GET', KEYS[2])
if not found or redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if found == ARGV[3] then return 'replaced' end
if found ~= ARGV[1] then return 'changed' end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
redis.call('SET', KEYS[2], ARGV[3], 'KEEPTTL')
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 'replaced'`

/**
 * KEYS s t m l x · ARGV tombstoneMs channel message. The deletion comes first: what frees memory may be followed by
 * what takes some, also when Redis is full (fault F06); a replica refuses it, which a bare PUBLISH would not (F09).
 */
export const END = `
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('SET', KEYS[5], '1', 'PX', ARGV[1])
return redis.call('PUBLISH', ARGV[2], ARGV[3])`

/** KEYS marker · ARGV attemptId ttlMs. \`SET NX GET\` for Redis before 7.0; answers with the owner that was there. */
export const SET_IF_ABSENT = `
local owner = redis.call('GET', KEYS[1])
if not owner then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return owner`

/** KEYS marker · ARGV attemptId ttlMs. */
export const EXTEND_OWN = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`

/** KEYS marker · ARGV attemptId. */
export const RELEASE_OWN = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

/**
 * KEYS lock · ARGV mark ttlMs seen. Compare-and-set from `seen` to `mark`, which also succeeds where `mark` is found,
 * because a retry may run the script twice.
 */
export const TAKE_OVER = `
local found = redis.call('GET', KEYS[1])
if found == ARGV[1] then return 1 end
if found ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

/** Tests whether the value of the lock begins with the owner's part. */
const IS_OWN = `
local found = redis.call('GET', KEYS[1])
local isOwn = found and string.sub(found, 1, #ARGV[1]) == ARGV[1]`

/** KEYS lock · ARGV owner mark ttlMs revive. */
export const HOLD = `${IS_OWN}
if not isOwn and (found or ARGV[4] == '0') then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`

/** KEYS lock · ARGV owner. */
export const LET_GO = `${IS_OWN}
return isOwn and redis.call('DEL', KEYS[1]) or 0`

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

/** KEYS index · ARGV withinMs digest... */
export const INDEX_REMOVE_LOST = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return 0 end
local old = {}
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[1])) do old[digest] = true end
for at = 2, #ARGV do
  if old[ARGV[at]] then redis.call('ZREM', KEYS[1], ARGV[at]) end
end
return 1`

/**
 * KEYS denied · ARGV ttlMs token channel message. The set lives as long as the longest denial in it, and no denial is ever
 * shortened. What frees memory comes first, as at the end of a session.
 */
export const DENY = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return redis.call('PUBLISH', ARGV[3], ARGV[4])`

/** KEYS denied · ARGV count. Tokens with the milliseconds that each has left. */
export const DENIED = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {} end
local found = redis.call('ZRANGEBYSCORE', KEYS[1], now + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local denied = {}
for at = 1, #found, 2 do denied[#denied + 1] = {found[at], found[at + 1] - now} end
return denied`

/** KEYS counter. Returns the counter and the time as formatted text, because Lua's own conversion loses digits. */
export const COUNTER_AND_TIME = `${NOW}
return {redis.call('GET', KEYS[1]) or '0', string.format('%.0f', now)}`

/** KEYS counter · ARGV generation ttlMs. Raises the counter and never lowers it. */
export const ADVANCE = `
local next = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', ARGV[2])
return 1`

/** KEYS oldest · ARGV generation ttlMs. */
export const RAISE = `
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`
