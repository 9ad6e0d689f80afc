/** Lua scripts. Each touches one slot and is idempotent, because a retry may run it twice or late. */

/** KEYS s t m x · ARGV ttlMs s t m. Writes nothing where the session has a tombstone. */
export const CREATE = `
if redis.call('EXISTS', KEYS[4]) == 1 then return 0 end
for part = 1, 3 do redis.call('SET', KEYS[part], ARGV[part + 1], 'PX', ARGV[1]) end
return 1`

/**
 * KEYS s t · ARGV before s t channel message. Compare-and-set on the whole sealed value, because no two are equal. Also
 * succeeds where its own value is found, because a retry may run the script twice.
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
 * KEYS s t m l x · ARGV tombstoneMs reason channel message. Deletes first, because a full Redis allows writes after that
 * (fault F06) and a replica refuses it, which it would not a bare PUBLISH (F09). The first reason and the longer lifetime
 * stay.
 */
export const END = `
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if not redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[1], 'NX') and redis.call('PTTL', KEYS[5]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[5], ARGV[1])
end
return redis.call('PUBLISH', ARGV[3], ARGV[4])`

/** KEYS x. Returns the beginning of a tombstone, and nil for none or a value of another type (threat A91). */
export const TOMBSTONE = `
local reason = redis.pcall('GET', KEYS[1])
return type(reason) == 'string' and string.sub(reason, 1, 32)`

/** KEYS key · ARGV value ttlMs. Does `SET NX GET` for Redis before 7.0; returns the value that was there before. */
export const SET_IF_ABSENT = `
local owner = redis.call('GET', KEYS[1])
if not owner then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return owner`

/** KEYS key · ARGV value ttlMs. Sets the TTL where the value is its own. */
export const EXTEND_OWN = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`

/** KEYS key · ARGV value. Deletes the key where the value is its own. */
export const RELEASE_OWN = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

/**
 * KEYS lock · ARGV value ttlMs seen. Compare-and-set from `seen` to `value`, which also succeeds where `value` is found,
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

/** KEYS lock · ARGV owner value ttlMs revive. Writes the value where the lock is the owner's, or absent and revived. */
export const HOLD = `${IS_OWN}
if not isOwn and (found or ARGV[4] == '0') then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`

/** KEYS lock · ARGV owner. Deletes the lock where it is the owner's. */
export const LET_GO = `${IS_OWN}
return isOwn and redis.call('DEL', KEYS[1]) or 0`

/** Sets `now` to milliseconds of Redis's clock, because the clocks of replicas differ. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/**
 * KEYS index · ARGV ttlMs digest. Gives the index the TTL of its longest session. Deletes a value of another type,
 * because it would keep everybody with this index from signing in (threat A91).
 */
export const INDEX_ADD = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1`

/** KEYS index. Returns the digests that have not expired. */
export const INDEX_LIST = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return {} end
return redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')`

/** KEYS index · ARGV withinMs digest... Removes those of the digests that expire within `withinMs`. */
export const INDEX_REMOVE_LOST = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return 0 end
local old = {}
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[1])) do old[digest] = true end
for at = 2, #ARGV do
  if old[ARGV[at]] then redis.call('ZREM', KEYS[1], ARGV[at]) end
end
return 1`

/**
 * KEYS denied · ARGV ttlMs token channel message. Gives the set the TTL of its longest denial and never shortens one.
 * Frees memory first, because a full Redis allows writes after that (fault F06).
 */
export const DENY = `${NOW}
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return redis.call('PUBLISH', ARGV[3], ARGV[4])`

/** KEYS denied · ARGV count. Returns pairs of token and milliseconds left. */
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

/** KEYS oldest · ARGV generation ttlMs. Raises the oldest valid generation and never lowers it. */
export const RAISE = `
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

/**
 * KEYS events · ARGV sealed ttlMs channel head middle tail maxEntries floorMs floorNumber. Appends an entry after the floor,
 * removes what is too old or too much (XTRIM by age needs Redis 6.2), and publishes both identifiers between the parts of the
 * message. Deletes first only what is not ours, because a full Redis would take an entry after that (fault F06).
 */
export const APPEND_EVENT = `${NOW}
local kind = redis.call('TYPE', KEYS[1]).ok
local last = kind == 'stream' and redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local previous = last and last[1] or '0-0'
local ms, number = string.match(previous, '^(%d+)-(%d+)$')
-- Numbering cannot go on from an identifier that no version writes (threat A91).
local isForeign = kind ~= 'stream' and kind ~= 'none' or #ms > 15 or #number > 15
if isForeign then
  redis.call('DEL', KEYS[1])
  previous, ms, number = '0-0', '0', '0'
end
local floorMs, floorNumber = tonumber(ARGV[8]), tonumber(ARGV[9])
local lastMs, lastNumber = tonumber(ms), tonumber(number)
local isBehind = lastMs < floorMs or lastMs == floorMs and lastNumber < floorNumber
local id = '*'
if isBehind and now < floorMs + 1000 then id = string.format('%.0f-%.0f', floorMs, floorNumber + 1) end
id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[7], id, 'e', ARGV[1])
for _, old in ipairs(redis.call('XRANGE', KEYS[1], '-', string.format('%.0f', now - ARGV[2]))) do
  redis.call('XDEL', KEYS[1], old[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4] .. id .. ARGV[5] .. previous .. ARGV[6])
return {id, previous}`

/**
 * KEYS events · ARGV to from count maxLength. Returns identifiers and sealed broadcasts in turn, latest first; an empty text
 * for what is no broadcast, also because of its length (threat A91).
 */
export const READ_EVENTS = `
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return {} end
local found = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do
  local name, text = entry[2][1], entry[2][2]
  found[#found + 1] = entry[1]
  found[#found + 1] = name == 'e' and #text <= tonumber(ARGV[4]) and text or ''
end
return found`
