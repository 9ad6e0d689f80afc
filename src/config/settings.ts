import { z } from 'zod'

/** How a setting is documented: `docs/configuration.md` is generated from these. */
export type SettingNotes = {
  readonly section: string
  readonly text: string
  /** Also read from the file that `NAME_FILE` names, and never printed. */
  readonly isSecret?: boolean
}

const flag = z
  .string()
  .toLowerCase()
  .refine((value) => ['true', 'false'].includes(value), 'is neither true nor false')
  .transform((value) => value === 'true')

const list = z.string().transform((value) =>
  value
    .split(/[,\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== ''),
)

const integer = (min: number, max: number) =>
  z
    .string()
    .refine((value) => /^\d{1,12}$/.test(value), 'is not a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `is not between ${min} and ${max}`)

const note = (section: string, text: string, isSecret = false): SettingNotes => ({
  section,
  text,
  isSecret,
})

const ADDRESSES = 'Addresses'
const ACCESS = 'Who may enter'
const IDENTITY = 'Identity headers'
const PROVIDER = 'OpenID provider'
const SESSION = 'Sessions and cookies'
const PROCESS = 'Process'

/** Every setting, in the order of the documentation. Each takes a string, as environments have them. */
export const settings = z.object({
  PUBLIC_URL: z
    .string()
    .optional()
    .meta(
      note(
        ADDRESSES,
        'The one address of the sign-in pages, e.g. `https://auth.example.com`. Not set: each protected host carries its own `BASE_PATH`.',
      ),
    ),
  BASE_PATH: z
    .string()
    .default('/oauth2')
    .refine(
      (value) => /^(?:\/[a-z0-9_-][a-z0-9._-]*)+$/.test(value),
      'is not a lower-case path such as /oauth2',
    )
    .meta(note(ADDRESSES, 'Path below which sign-in, sign-out and `/me` live.')),
  PROTECTED_HOSTS: list
    .default([])
    .meta(
      note(
        ADDRESSES,
        'Hosts whose requests are checked: `app.example.com`, `*.example.com`, or `http://app.localhost:8080` for an http host.',
      ),
    ),
  ALLOW_INSECURE_HTTP: flag
    .default(false)
    .meta(
      note(
        ADDRESSES,
        'Allows http for hosts and providers other than loopback and `*.localhost`. Cookies and codes then travel in clear.',
      ),
    ),
  TRUSTED_PROXIES: list
    .default([
      '127.0.0.0/8',
      '::1/128',
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '169.254.0.0/16',
      'fc00::/7',
      'fe80::/10',
    ])
    .meta(note(ADDRESSES, 'Networks from which `/auth` may be called; all others get 403.')),
  ALIAS_HEADERS: z
    .enum(['reject', 'ignore'])
    .default('reject')
    .meta(
      note(
        ADDRESSES,
        'What to do with `X_Auth_…` and other spellings of trusted headers. `ignore` leaves the danger to your apps.',
      ),
    ),
  PUBLIC_PATHS: list
    .default([])
    .meta(
      note(ACCESS, 'Paths that need no sign-in: `/public/**`, `/files/*`. Whole segments only.'),
    ),
  ALLOWED_EMAILS: list
    .default([])
    .meta(
      note(
        ACCESS,
        'E-mail addresses that may enter. Somebody named by any of the three lists may enter.',
      ),
    ),
  ALLOWED_EMAIL_DOMAINS: list
    .default([])
    .meta(note(ACCESS, 'Domains whose addresses may enter, without their sub-domains.')),
  ALLOWED_GROUPS: list.default([]).meta(note(ACCESS, 'Groups whose members may enter.')),
  ALLOW_ANY_USER: flag
    .default(false)
    .meta(note(ACCESS, 'Lets in everybody whom the provider signs in.')),
  VESTIBULE_CONFIG: z
    .string()
    .optional()
    .meta(
      note(
        ACCESS,
        'A YAML file with `rules` and the lists of this section; the environment wins over the lists.',
      ),
    ),
  IDENTITY_HEADERS: list
    .default([])
    .meta(note(IDENTITY, 'Further headers from claims: `Remote-User=sub,Remote-Groups=groups`.')),
  IDENTITY_HEADERS_MAX_BYTES: integer(256, 32_768)
    .default(8192)
    .meta(
      note(
        IDENTITY,
        'Above this many bytes of identity headers the answer is 403; nothing is ever cut.',
      ),
    ),
  PASS_ACCESS_TOKEN: flag
    .default(false)
    .meta(note(IDENTITY, 'Gives apps `X-Auth-Request-Access-Token`.')),
  PASS_AUTHORIZATION: flag
    .default(false)
    .meta(note(IDENTITY, 'Gives apps `Authorization: Bearer` with the access token.')),
  OIDC_ISSUER_URL: z
    .string({ error: 'is missing' })
    .meta(note(PROVIDER, 'The issuer, exactly as the provider writes it.')),
  OIDC_CLIENT_ID: z
    .string({ error: 'is missing' })
    .min(1)
    .meta(note(PROVIDER, 'Client id at the provider.')),
  OIDC_CLIENT_SECRET: z
    .string()
    .optional()
    .meta(note(PROVIDER, 'Client secret at the provider.', true)),
  OIDC_SCOPES: z
    .string()
    .default('openid profile email')
    .refine((value) => value.split(/\s+/).includes('openid'), 'does not contain openid')
    .meta(note(PROVIDER, 'Scopes to ask for, separated by blanks.')),
  OIDC_TOKEN_ENDPOINT_AUTH_METHOD: z
    .enum(['client_secret_basic', 'client_secret_post', 'none'])
    .optional()
    .meta(
      note(
        PROVIDER,
        '`client_secret_basic`, `client_secret_post` or `none`. Default: basic with a secret, none without.',
      ),
    ),
  OIDC_USERINFO: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .meta(
      note(
        PROVIDER,
        'Whether UserInfo is asked at sign-in; `auto` = when the ID token lacks a claim that a header or rule uses.',
      ),
    ),
  OIDC_GROUPS_CLAIM: z
    .string()
    .min(1)
    .default('groups')
    .meta(
      note(
        PROVIDER,
        'The claim with the groups; a dotted path such as `realm_access.roles` is understood.',
      ),
    ),
  OIDC_TRUST_EMAIL: flag
    .default(false)
    .meta(
      note(
        PROVIDER,
        'Lets e-mail addresses count although the provider does not say `email_verified`.',
      ),
    ),
  OIDC_CA_FILE: z
    .string()
    .optional()
    .meta(
      note(
        PROVIDER,
        'PEM file with the authority that signed the provider’s certificate, beside the usual ones.',
      ),
    ),
  SESSION_ENCRYPTION_KEY: z
    .string()
    .optional()
    .meta(
      note(
        SESSION,
        'Keys of at least 32 random bytes (base64, base64url or hex), separated by commas or newlines. The first seals, all open; a key file is re-read while running. In memory mode a missing key is made up at start.',
        true,
      ),
    ),
  SESSION_MAX_AGE: integer(60, 31_536_000)
    .default(86_400)
    .meta(note(SESSION, 'Seconds after which a session ends in any case.')),
  SESSION_IDLE_TIMEOUT: z
    .union([z.literal('0').transform(() => 0), integer(60, 31_536_000)])
    .default(0)
    .meta(
      note(SESSION, 'Seconds without a request after which a session ends, 60 or more; 0 = off.'),
    ),
  SIGN_IN_CONCURRENCY: integer(1, 10_000)
    .default(50)
    .meta(note(SESSION, 'Token requests in flight at most; above it sign-in answers 503.')),
  COOKIE_NAME: z
    .string()
    .default('vestibule')
    .refine(
      (value) => /^[a-z0-9_-]{1,40}$/i.test(value) && !value.startsWith('__'),
      'is not a plain cookie name; the prefix is added by itself',
    )
    .meta(note(SESSION, 'Name of the session cookie, to which `__Host-` or `__Secure-` is added.')),
  COOKIE_DOMAIN: z
    .string()
    .optional()
    .meta(note(SESSION, 'Shares the session among all hosts below this domain.')),
  COOKIE_SAMESITE: z
    .enum(['lax', 'strict', 'none'])
    .default('lax')
    .meta(note(SESSION, '`lax`, `strict` or `none`.')),
  DISABLE_REPLAY_DETECTION: flag
    .default(false)
    .meta(note(SESSION, 'Lets an ID token be used for more than one sign-in. Logged as a risk.')),
  PORT: integer(0, 65_535).default(4180).meta(note(PROCESS, 'Public listener.')),
  INTERNAL_PORT: integer(0, 65_535)
    .default(4181)
    .meta(
      note(
        PROCESS,
        'Internal listener: the check, health, metrics. Never route it to the outside.',
      ),
    ),
  HOST: z.string().default('0.0.0.0').meta(note(PROCESS, 'Address that both listeners bind to.')),
  DRAIN_SECONDS: integer(0, 300)
    .default(5)
    .meta(note(PROCESS, 'How long requests are still served after SIGTERM.')),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .meta(note(PROCESS, 'Least level that is logged.')),
})

export type SettingName = keyof typeof settings.shape
export type Settings = z.output<typeof settings>

/** The notes of a setting. */
export function notesOf(name: SettingName): SettingNotes {
  return settings.shape[name].meta() as unknown as SettingNotes
}
