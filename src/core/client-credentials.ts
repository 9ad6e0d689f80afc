/** Client authentication at the provider (OpenID Connect Core 1.0 section 9). */
export type ClientCredentials =
  | { readonly method: SecretMethod; readonly secret: string }
  /** Sends the secret in the way that the provider's metadata offer. */
  | { readonly method: 'client_secret'; readonly secret: string }
  | { readonly method: 'private_key_jwt'; readonly key: ClientKey }
  | { readonly method: 'none' }

/** Ways to send a client secret (RFC 6749 section 2.3.1). */
export type SecretMethod = 'client_secret_basic' | 'client_secret_post'

/** Key that signs the client's assertions (RFC 7523 section 2.2). */
export interface ClientKey {
  readonly privateKey: CryptoKey
  readonly alg: string
  readonly kid: string
  /** Public part, to be registered at the provider (RFC 7517). */
  readonly publicJwk: Readonly<Record<string, unknown>>
}
