import * as client from 'openid-client'
import { isText } from '../../core/claims.ts'
import type { ClientCredentials, SecretMethod } from '../../core/client-credentials.ts'

/** Credentials whose method is decided. */
export type DecidedCredentials = Exclude<ClientCredentials, { readonly method: 'client_secret' }>

/** Methods in the provider's metadata; without any it offers `client_secret_basic` (RFC 8414 section 2). */
export function offeredMethods(metadata: client.ServerMetadata): readonly string[] {
  const offered: unknown = metadata.token_endpoint_auth_methods_supported
  const methods = [offered].flat().filter(isText)
  return methods.length > 0 ? methods : ['client_secret_basic']
}

/** Decides how a secret is sent: as configured, else basic if the provider offers it or neither way, else post (C28). */
export function decideCredentials(
  credentials: ClientCredentials,
  offered: readonly string[],
): DecidedCredentials {
  if (credentials.method !== 'client_secret') return credentials
  const isPostOnly =
    offered.includes('client_secret_post') && !offered.includes('client_secret_basic')
  const method: SecretMethod = isPostOnly ? 'client_secret_post' : 'client_secret_basic'
  return { method, secret: credentials.secret }
}

/** Returns how the client authenticates at the token and revocation endpoints (OpenID Connect Core 1.0 section 9). */
export function clientAuthentication(credentials: DecidedCredentials): client.ClientAuth {
  switch (credentials.method) {
    case 'client_secret_basic':
      return basicAuthentication(credentials.secret)
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

/**
 * Sends id and secret in the `Authorization` header. The library's own method also encodes `-._~*`, which providers that
 * read the header without decoding it then refuse (finding C28).
 */
function basicAuthentication(secret: string): client.ClientAuth {
  return (_server, { client_id: id }, _body, headers) => {
    const credentials = Buffer.from(`${formEncode(id)}:${formEncode(secret)}`).toString('base64')
    headers.set('Authorization', `Basic ${credentials}`)
  }
}

/** Encodes as forms do (RFC 6749 appendix B), with `~` left alone. */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1).replaceAll('%7E', '~')
}
