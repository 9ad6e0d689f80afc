import { z } from 'zod'
import { flag, integer, list, note, notes, seconds } from './setting-kinds.ts'

const REDIS = 'Redis'

const file = (text: string) => z.string().optional().register(notes, note(REDIS, text))

/** Settings of the shared state; names and defaults are those of the traefikoidc plugin. */
export const redisSettings = {
  REDIS_ENABLED: flag
    .default(false)
    .register(
      notes,
      note(REDIS, 'Keeps sessions and replay marks in Redis, shared by all replicas.'),
    ),
  REDIS_CACHE_MODE: z
    .enum(['memory', 'redis', 'hybrid'])
    .default('redis')
    .register(
      notes,
      note(
        REDIS,
        '`redis`: every check reads Redis. `hybrid`: sessions seen a moment ago are answered from memory, and all replicas hear of what changes. `memory`: Redis is not used at all.',
      ),
    ),
  REDIS_ADDRESS: z
    .string()
    .optional()
    .register(
      notes,
      note(
        REDIS,
        '`host:port`, `host:6380,password=…,ssl=True,abortConnect=False`, or a URL as in `REDIS_URL`; see redis.md.',
        true,
      ),
    ),
  REDIS_URL: z
    .string()
    .optional()
    .register(
      notes,
      note(REDIS, '`redis://user:password@host:port/db`, or `rediss://` for TLS.', true),
    ),
  REDIS_CLUSTER: flag
    .default(false)
    .register(
      notes,
      note(
        REDIS,
        'Set for a Redis Cluster; the address names one or several of its servers: `a:6379,b:6379,password=…`.',
      ),
    ),
  REDIS_SENTINEL_ADDRESSES: list
    .default([])
    .register(
      notes,
      note(
        REDIS,
        'Sentinels that name the primary, as `host:port` separated by commas, in place of an address. TLS is spoken to them as to Redis.',
      ),
    ),
  REDIS_SENTINEL_MASTER: z
    .string()
    .optional()
    .register(
      notes,
      note(REDIS, 'Name under which the Sentinels watch the primary, such as `mymaster`.'),
    ),
  REDIS_SENTINEL_USERNAME: z
    .string()
    .optional()
    .register(
      notes,
      note(REDIS, 'ACL user of the Sentinels themselves; none = their default user.'),
    ),
  REDIS_SENTINEL_PASSWORD: z
    .string()
    .optional()
    .register(
      notes,
      note(
        REDIS,
        'Password of the Sentinels themselves; a password file is read again for every connection.',
        true,
      ),
    ),
  REDIS_USERNAME: z
    .string()
    .optional()
    .register(notes, note(REDIS, 'ACL user; none = the default user.')),
  REDIS_PASSWORD: z
    .string()
    .optional()
    .register(
      notes,
      note(REDIS, 'Password; a password file is read again for every connection.', true),
    ),
  REDIS_DB: integer(0, 999_999_999)
    .default(0)
    .register(notes, note(REDIS, 'Number of the database.')),
  REDIS_KEY_PREFIX: z
    .string()
    .default('vestibule:')
    .refine(
      (value) => /^[\x21-\x7e]{1,64}$/.test(value) && !/[{}*?[\]\\]/.test(value),
      'is not a plain prefix such as vestibule: (no blanks, braces or wildcards)',
    )
    .register(
      notes,
      note(REDIS, 'Prefix of every key; installations that share a Redis need different ones.'),
    ),
  REDIS_CONNECT_TIMEOUT: seconds(1, 60, 5).register(
    notes,
    note(REDIS, 'Seconds after which connecting to Redis, including AUTH, fails.'),
  ),
  REDIS_READ_TIMEOUT: seconds(1, 60, 3).register(
    notes,
    note(REDIS, 'Seconds after which a read outside the check fails.'),
  ),
  REDIS_WRITE_TIMEOUT: seconds(1, 60, 3).register(
    notes,
    note(REDIS, 'Seconds after which a write fails.'),
  ),
  CHECK_STORE_TIMEOUT_MS: integer(10, 1000)
    .default(250)
    .register(notes, note(REDIS, 'Milliseconds after which a check gives up on Redis.')),
  REDIS_POOL_SIZE: integer(1, 1000)
    .default(10)
    .register(
      notes,
      note(REDIS, 'Accepted without effect: one pipelined connection serves a replica.'),
    ),
  REDIS_ENABLE_TLS: flag.default(false).register(notes, note(REDIS, 'Speaks TLS to Redis.')),
  REDIS_TLS_SKIP_VERIFY: flag
    .default(false)
    .register(notes, note(REDIS, 'Accepts any certificate of Redis. Logged as a risk.')),
  REDIS_CA_FILE: file('PEM file with the CA of Redis’s certificate.'),
  REDIS_CERT_FILE: file('PEM file with the client certificate, for a Redis that requires one.'),
  REDIS_KEY_FILE: file('PEM file with the private key of the client certificate.'),
}
