import { z } from 'zod'
import { durationOf, flag, integer, note, notes, seconds, separated } from './setting-kinds.ts'

const PROVIDER = 'OpenID provider'
const SESSION = 'Sessions and cookies'
const PROCESS = 'Process'

/** Settings of the provider, sessions and the process. */
export const serviceSettings = {
  OIDC_ISSUER_URL: z
    .string({ error: 'is missing' })
    .register(notes, note(PROVIDER, 'Issuer URL, exactly as the provider writes it.')),
  OIDC_CLIENT_ID: z
    .string({ error: 'is missing' })
    .min(1)
    .register(notes, note(PROVIDER, 'Client id at the provider.')),
  OIDC_CLIENT_SECRET: z
    .string()
    .optional()
    .register(notes, note(PROVIDER, 'Client secret at the provider.', true)),
  OIDC_CLIENT_PRIVATE_KEY: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'Private key for `private_key_jwt`, in place of a client secret: a PEM, or a JWK with `alg` and `kid` if they are not to be derived.',
        true,
      ),
    ),
  OIDC_SCOPES: z
    .string()
    .default('openid profile email')
    .refine((value) => value.split(/\s+/).includes('openid'), 'does not contain openid')
    .register(notes, note(PROVIDER, 'Scopes to request, separated by spaces.')),
  OIDC_TOKEN_ENDPOINT_AUTH_METHOD: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        '`client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`. Default: basic with a secret, `private_key_jwt` with a key, none without either.',
      ),
    ),
  OIDC_AUTHORIZATION_PARAMS: separated(/[,&\n]/)
    .default([])
    .register(
      notes,
      note(
        PROVIDER,
        'Further parameters of every authorization request: `acr_values=urn%3Amfa,max_age=3600`, see provider.md.',
      ),
    ),
  OIDC_END_SESSION_URL: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'URL for the sign-out at the provider in place of its `end_session_endpoint`, with placeholders; see provider.md.',
      ),
    ),
  OIDC_USERINFO: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .register(
      notes,
      note(
        PROVIDER,
        'When to request UserInfo at sign-in; `auto` = when the ID token lacks a claim that a header or rule uses.',
      ),
    ),
  OIDC_GROUPS_CLAIM: z
    .string()
    .min(1)
    .default('groups')
    .register(
      notes,
      note(
        PROVIDER,
        'Claim with the groups; a dotted path such as `realm_access.roles` is allowed.',
      ),
    ),
  OIDC_TRUST_EMAIL: flag
    .default(false)
    .register(
      notes,
      note(
        PROVIDER,
        'Trusts e-mail addresses although the provider does not send `email_verified`.',
      ),
    ),
  OIDC_LOGOUT_TOKEN_TYPE: z
    .enum(['logout+jwt', 'any'])
    .default('logout+jwt')
    .register(
      notes,
      note(
        PROVIDER,
        '`any` also accepts logout tokens whose `typ` is `JWT` or absent, or that have no `exp`, as older providers make them.',
      ),
    ),
  OIDC_CA_FILE: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'PEM file with the CA of the provider’s certificate, in addition to the system’s CAs.',
      ),
    ),
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
      'Seconds after the end of the access token for which a session goes on while the provider cannot refresh it; then checks answer 503. With `PASS_ACCESS_TOKEN` or `PASS_AUTHORIZATION` there is no such time.',
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
  DISABLE_REPLAY_DETECTION: flag
    .default(false)
    .register(
      notes,
      note(SESSION, 'Accepts an ID token for more than one sign-in. Logged as a risk.'),
    ),
  PORT: integer(0, 65_535)
    .default(4180)
    .register(notes, note(PROCESS, 'Port of the public listener.')),
  INTERNAL_PORT: integer(0, 65_535)
    .default(4181)
    .register(
      notes,
      note(
        PROCESS,
        'Port of the internal listener: check, health, metrics, admin. Never expose it to the outside.',
      ),
    ),
  HOST: z
    .string()
    .default('0.0.0.0')
    .register(notes, note(PROCESS, 'Address that both listeners bind to.')),
  ADMIN_TOKEN: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROCESS,
        'Bearer token for `/admin` on the internal listener; not set = no `/admin`. Fewer than 32 characters are logged as a risk.',
        true,
      ),
    ),
  DRAIN_SECONDS: seconds(0, 300, 5).register(
    notes,
    note(PROCESS, 'Seconds for which requests are still served after SIGTERM.'),
  ),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .register(notes, note(PROCESS, 'Lowest level that is logged.')),
}
