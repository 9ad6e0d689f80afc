/** How the client proves to its provider who it is (OpenID Connect Core 1.0 section 9). */
export type ClientCredentials =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly secret: string }
  | { readonly method: 'private_key_jwt'; readonly key: ClientKey }
  | { readonly method: 'none' }

/** The key that signs the client's assertions (RFC 7523 section 2.2). */
export interface ClientKey {
  readonly privateKey: CryptoKey
  readonly alg: string
  readonly kid: string
  /** What the provider has to know of it (RFC 7517). */
  readonly publicJwk: Readonly<Record<string, unknown>>
}
