import { flag, integer, note, notes, seconds } from './setting-kinds.ts'

const CACHE = 'Cache and outages'

/** Settings of the session cache and of outages of Redis. */
export const cacheSettings = {
  REDIS_HYBRID_L1_SIZE: integer(1, 1_000_000)
    .default(500)
    .register(
      notes,
      note(CACHE, 'Sessions that a replica keeps opened in `hybrid` mode; least used go first.'),
    ),
  REDIS_HYBRID_L1_MEMORY_MB: integer(1, 10_000)
    .default(10)
    .register(notes, note(CACHE, 'MiB that they may take together.')),
  REDIS_HYBRID_L1_TTL: seconds(1, 30, 5).register(
    notes,
    note(
      CACHE,
      'Seconds for which one of them answers checks before Redis is asked again: how long a session that was ended elsewhere may live on if the message about it is lost.',
    ),
  ),
  SESSION_OUTAGE_GRACE: seconds(0, 900, 300).register(
    notes,
    note(
      CACHE,
      'Seconds after the last confirmation by Redis for which signed-in users go on while Redis cannot be used; 0 = off. Sessions ended within that time may go on as well.',
    ),
  ),
  REDIS_ENABLE_CIRCUIT_BREAKER: flag
    .default(true)
    .register(notes, note(CACHE, 'Stops asking a Redis that fails, and answers at once.')),
  REDIS_CIRCUIT_BREAKER_THRESHOLD: integer(1, 1000)
    .default(5)
    .register(notes, note(CACHE, 'Failures in a row after which it opens.')),
  REDIS_CIRCUIT_BREAKER_TIMEOUT: seconds(1, 3600, 60).register(
    notes,
    note(
      CACHE,
      'Seconds after which it lets one try through; it does so earlier where Redis is seen to be back.',
    ),
  ),
  REDIS_ENABLE_HEALTH_CHECK: flag
    .default(true)
    .register(
      notes,
      note(CACHE, 'Asks Redis from time to time, and each second while a circuit breaker is open.'),
    ),
  REDIS_HEALTH_CHECK_INTERVAL: seconds(1, 3600, 30).register(
    notes,
    note(CACHE, 'Seconds between two such questions.'),
  ),
}
