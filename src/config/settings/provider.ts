import { z } from 'zod'
import { SIGNING_ALGORITHMS } from '../../core/signing-algorithms.ts'
import { flag, note, notes, separated } from './setting-kinds.ts'

const PROVIDER = 'OpenID provider'

/** Settings of the OpenID provider. */
export const providerSettings = {
  OIDC_ISSUER_URL: z
    .string({ error: 'is missing' })
    .register(notes, note(PROVIDER, 'Issuer URL, exactly as the provider writes it.')),
  OIDC_INTERNAL_URL: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'Counterpart of the whole issuer URL inside, such as `http://keycloak:8080/realms/x`, where Vestibule itself asks the provider; see provider.md.',
      ),
    ),
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
    .transform((value) => value.split(/\s+/).join(' '))
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
        '`client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`. Default: what the provider’s metadata offer: `private_key_jwt` with a key, else basic, else post; `none` without key and secret.',
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
        'Claim with the groups; a path such as `realm_access.roles` is allowed, `\\.` for a dot in a name.',
      ),
    ),
  OIDC_GROUPS_SEPARATOR: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'Splits a groups claim that is one string, such as `,`; the word `space` for blanks. Unset: one string is one group.',
      ),
    ),
  OIDC_EMAIL_CLAIM: z
    .string()
    .min(1)
    .default('email')
    .register(
      notes,
      note(
        PROVIDER,
        'Claim with the e-mail address, such as `upn`, or a path such as `emails.0`; another claim than `email` counts only if it equals a verified `email`, or with `OIDC_TRUST_EMAIL`.',
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
  OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG: z
    .enum(SIGNING_ALGORITHMS)
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'The only algorithm that is accepted for ID tokens, logout tokens and signed UserInfo, if the client is registered for one: `RS256`, `ES256`, … Default: each asymmetric one that the provider’s metadata list.',
      ),
    ),
  OIDC_LOGOUT_TOKEN_TYPE: z
    .enum(['logout+jwt', 'any'])
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        '`logout+jwt` accepts only logout tokens of that `typ`; `any` also accepts those without `exp`, as older providers make them. Default: `typ` is `logout+jwt`, `JWT` or absent, and `exp` is there.',
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
  HTTPS_PROXY: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'Proxy for requests to providers and issuers at `https://` addresses: `http://user:password@proxy.example.com:3128`. `https_proxy` counts first.',
        true,
      ),
    ),
  HTTP_PROXY: z
    .string()
    .optional()
    .register(
      notes,
      note(
        PROVIDER,
        'The same for `http://` addresses, such as that of `OIDC_INTERNAL_URL`. `http_proxy` counts first.',
        true,
      ),
    ),
  NO_PROXY: separated(/[,\s]/)
    .default([])
    .register(
      notes,
      note(
        PROVIDER,
        'Hosts that are asked without a proxy: domains with their subdomains, addresses and networks, `*` for all: `.svc,id.example.com:8443,10.0.0.0/8`. `no_proxy` counts first.',
      ),
    ),
}
