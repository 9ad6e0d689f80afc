import * as client from 'openid-client'
import type { ClientCredentials } from '../core/client-credentials.ts'

/** Returns how the client authenticates at the token and revocation endpoints (OpenID Connect Core 1.0 section 9). */
export function clientAuthentication(credentials: ClientCredentials): client.ClientAuth {
  switch (credentials.method) {
    case 'client_secret_basic':
      return client.ClientSecretBasic(credentials.secret)
    case 'client_secret_post':
      return client.ClientSecretPost(credentials.secret)
    case 'private_key_jwt': {
      const { privateKey, kid, alg } = credentials.key
      return client.PrivateKeyJwt(
        { key: privateKey, kid },
        {
          // Overrides the header, because the library derives `alg` from the key and names Ed25519 keys `Ed25519`.
          [client.modifyAssertion]: (header) => {
            header['alg'] = alg
          },
        },
      )
    }
    case 'none':
      return client.None()
  }
}
