import { z } from 'zod'
import { flag, groupList, integer, list, note, notes } from './setting-kinds.ts'

const ADDRESSES = 'Addresses'
const ACCESS = 'Who may enter'
const IDENTITY = 'Identity headers'

/** Settings of hosts, users and the headers that apps receive. */
export const requestSettings = {
  PUBLIC_URL: z
    .string()
    .optional()
    .register(
      notes,
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
    .register(notes, note(ADDRESSES, 'Path below which sign-in, sign-out and `/me` live.')),
  PROTECTED_HOSTS: list
    .default([])
    .register(
      notes,
      note(
        ADDRESSES,
        'Hosts whose requests are checked: `app.example.com`, `*.example.com` (not `*.com`), or `http://app.localhost:8080` for an http host.',
      ),
    ),
  ALLOW_INSECURE_HTTP: flag
    .default(false)
    .register(
      notes,
      note(
        ADDRESSES,
        'Allows http for hosts and providers other than loopback and `*.localhost`. Cookies and codes then travel in clear.',
      ),
    ),
  POST_LOGOUT_REDIRECT_URIS: list
    .default([])
    .register(
      notes,
      note(
        ADDRESSES,
        'Pages beside those of protected hosts to which a sign-out may lead, as whole addresses: `https://www.example.com/bye`.',
      ),
    ),
  TRUSTED_PROXIES: list
    .default([
      '127.0.0.0/8',
      '::1/128',
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
      '169.254.0.0/16',
      'fc00::/7',
      'fe80::/10',
    ])
    .register(
      notes,
      note(
        ADDRESSES,
        'Networks from which `/auth` may be called; all others get 403. Default: loopback, private and link-local networks, and 100.64.0.0/10.',
      ),
    ),
  ALIAS_HEADERS: z
    .enum(['reject', 'ignore'])
    .default('reject')
    .register(
      notes,
      note(
        ADDRESSES,
        '`reject` refuses requests with an alias of an identity header such as `X_Auth_Request_User`, which some apps read as the header itself; `ignore` leaves that risk to your apps.',
      ),
    ),
  PUBLIC_PATHS: list
    .default([])
    .register(
      notes,
      note(ACCESS, 'Paths that need no sign-in: `/public/**`, `/files/*`. Whole segments only.'),
    ),
  ALLOWED_EMAILS: list
    .default([])
    .register(
      notes,
      note(ACCESS, 'E-mail addresses that may enter. A user on any of the three lists may enter.'),
    ),
  ALLOWED_EMAIL_DOMAINS: list
    .default([])
    .register(notes, note(ACCESS, 'Domains whose addresses may enter, without their sub-domains.')),
  ALLOWED_GROUPS: groupList
    .default([])
    .register(
      notes,
      note(ACCESS, 'Groups whose members may enter; names with commas need a JSON array.'),
    ),
  ALLOW_ANY_USER: flag
    .default(false)
    .register(notes, note(ACCESS, 'Lets in every user of the provider.')),
  VESTIBULE_CONFIG: z
    .string()
    .optional()
    .register(
      notes,
      note(
        ACCESS,
        'A YAML file with settings, `rules` and `policies`; the environment wins over its settings.',
      ),
    ),
  IDENTITY_HEADERS: list
    .default([])
    .register(
      notes,
      note(IDENTITY, 'Further headers from claims: `Remote-User=sub,Remote-Groups=groups`.'),
    ),
  IDENTITY_HEADERS_MAX_BYTES: integer(256, 32_768)
    .default(8192)
    .register(
      notes,
      note(
        IDENTITY,
        'Bytes of identity headers above which the answer is 403; values are never truncated.',
      ),
    ),
  PASS_ACCESS_TOKEN: flag
    .default(false)
    .register(notes, note(IDENTITY, 'Gives apps `X-Auth-Request-Access-Token`.')),
  PASS_AUTHORIZATION: z
    .string()
    .toLowerCase()
    .refine(
      (value) => ['true', 'false', 'access-token'].includes(value),
      'is neither true nor false nor access-token',
    )
    .transform((value) => value !== 'false')
    .default(false)
    .register(
      notes,
      note(
        IDENTITY,
        '`access-token`, or `true`, gives apps `Authorization: Bearer` with the access token.',
      ),
    ),
}
