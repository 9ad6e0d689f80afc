import { z } from 'zod'
import { flag, note, notes, separated } from './setting-kinds.ts'

const PROVIDER = 'OpenID provider'

/** Settings of the OpenID provider. */
export const providerSettings = {
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
}
