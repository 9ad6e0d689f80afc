import { z } from 'zod'
import { durationOf, flag, integer, note, notes, seconds } from './setting-kinds.ts'

const SESSION = 'Sessions and cookies'

/** Settings of sessions and cookies. */
export const sessionSettings = {
  SESSION_ENCRYPTION_KEY: z
    .string()
    .optional()
    .register(
      notes,
      note(
        SESSION,
        'Keys of at least 32 random bytes (base64, base64url or hex), separated by commas or newlines. The first seals, all open; a key file is re-read while running. In memory mode a random key is generated at start when none is set.',
        true,
      ),
    ),
  SESSION_MAX_AGE: seconds(60, 31_536_000, 86_400).register(
    notes,
    note(SESSION, 'Seconds after sign-in after which a session ends.'),
  ),
  SESSION_IDLE_TIMEOUT: z
    .union([z.literal('0').transform(Number), integer(60, 31_536_000)])
    .transform(durationOf)
    .default(durationOf(0))
    .register(
      notes,
      note(SESSION, 'Seconds without a request after which a session ends, 60 or more; 0 = off.'),
    ),
  SESSION_REFRESH_GRACE: seconds(0, 31_536_000, 3600).register(
    notes,
    note(
      SESSION,
      'Seconds after the end of the access token for which a session goes on while the provider cannot refresh it; then checks answer 503, or ask for a new sign-in where the provider refuses. With `PASS_ACCESS_TOKEN` or `PASS_AUTHORIZATION` there is no such time.',
    ),
  ),
  SESSIONS_PER_USER: integer(1, 10_000)
    .default(100)
    .register(
      notes,
      note(SESSION, 'Most sessions of one user; a further sign-in ends the oldest.'),
    ),
  SIGN_IN_CONCURRENCY: integer(1, 10_000)
    .default(50)
    .register(
      notes,
      note(
        SESSION,
        'Most token requests in flight, and a quarter of that per client address (IPv6: per /64); above it sign-in answers 503.',
      ),
    ),
  COOKIE_NAME: z
    .string()
    .default('vestibule')
    .refine(
      (value) => /^[a-z0-9_-]{1,40}$/i.test(value) && !value.startsWith('__'),
      'is not a plain cookie name; the prefix is added by itself',
    )
    .register(
      notes,
      note(SESSION, 'Name of the session cookie, to which `__Host-` or `__Secure-` is added.'),
    ),
  COOKIE_DOMAIN: z
    .string()
    .optional()
    .register(
      notes,
      note(
        SESSION,
        'Shares the session among all hosts below this domain, each of which receives the cookie, also those that Traefik does not serve. Unset: one session a host.',
      ),
    ),
  COOKIE_SAMESITE: z
    .enum(['lax', 'strict', 'none'])
    .default('lax')
    .register(notes, note(SESSION, '`lax`, `strict` or `none`.')),
  COOKIE_PERSISTENT: flag
    .default(true)
    .register(
      notes,
      note(
        SESSION,
        '`false` lets browsers forget the session cookie when they are closed (those that restore tabs may keep it); the session itself ends as the other settings say.',
      ),
    ),
  DISABLE_REPLAY_DETECTION: flag
    .default(false)
    .register(
      notes,
      note(SESSION, 'Accepts an ID token for more than one sign-in. Logged as a risk.'),
    ),
}
