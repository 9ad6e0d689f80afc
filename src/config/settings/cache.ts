import { flag, integer, note, notes, seconds } from './setting-kinds.ts'

const CACHE = 'Cache and outages'

/** Settings of the session cache and of outages of Redis. */
export const cacheSettings = {
  REDIS_HYBRID_L1_SIZE: integer(1, 1_000_000)
    .default(500)
    .register(
      notes,
      note(
        CACHE,
        'Sessions in the memory of a replica (L1) in `hybrid` mode; the least recently used are dropped first.',
      ),
    ),
  REDIS_HYBRID_L1_MEMORY_MB: integer(1, 10_000)
    .default(10)
    .register(
      notes,
      note(
        CACHE,
        'MiB that the sessions in L1 may take together, as `vestibule_l1_bytes` counts them: 1.2 KiB for a small session, 5.3 KiB with 1 KB of groups. `/health` says where the heap or the container is too small for it.',
      ),
    ),
  REDIS_HYBRID_L1_TTL: seconds(1, 30, 5).register(
    notes,
    note(
      CACHE,
      'Seconds for which a session in L1 answers checks before Redis is asked again. A session that was ended on another replica stays usable for that long if the message about it is lost.',
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
    .register(notes, note(CACHE, 'Fails commands at once while Redis is failing.')),
  REDIS_CIRCUIT_BREAKER_THRESHOLD: integer(1, 1000)
    .default(5)
    .register(notes, note(CACHE, 'Failures in a row after which the circuit breaker opens.')),
  REDIS_CIRCUIT_BREAKER_TIMEOUT: seconds(1, 3600, 60).register(
    notes,
    note(
      CACHE,
      'Seconds after which an open circuit breaker lets one command through; sooner when Redis is seen to answer again.',
    ),
  ),
  REDIS_ENABLE_HEALTH_CHECK: flag
    .default(true)
    .register(
      notes,
      note(
        CACHE,
        'Writes and reads a small key in Redis at intervals, and each second while a circuit breaker is open.',
      ),
    ),
  REDIS_HEALTH_CHECK_INTERVAL: seconds(1, 3600, 30).register(
    notes,
    note(CACHE, 'Seconds between two health checks.'),
  ),
}
