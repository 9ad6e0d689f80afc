import * as client from 'openid-client'
import type { ClientCredentials } from '../core/client-credentials.ts'

/** Proves to the provider who we are, wherever it asks: for codes, refresh tokens and revocations. */
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
          // The library goes by the key alone, and knows Ed25519 by its newer name.
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
