import * as client from 'openid-client'
import { type EndSessionParameters, fillEndSessionTemplate } from '../core/end-session-template.ts'
import type { ProviderConnection } from './discovery/provider.ts'
import { decodeClaims } from './request/provider-answer.ts'

/** Parameters of a sign-out at the provider; the ID token was verified when it was received. */
export interface EndSessionRequest {
  readonly idToken?: string
  readonly postLogoutRedirectUri: string
  readonly state: string
}

export interface EndSessionOptions {
  readonly connection: ProviderConnection
  readonly clientId: string
  /** Replaces the endpoint of the metadata; see `core/end-session-template`. */
  readonly endSessionTemplate?: string
}

/** Longest URL sent, because servers and proxies refuse longer ones. */
const URL_MAX_CHARS = 6 * 1024

/**
 * Returns the URL of RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0 section 2), without an ID token that
 * would make it too long; `undefined` when the provider has no such endpoint or has not been discovered.
 */
export async function endSessionUrl(
  { connection, clientId, endSessionTemplate }: EndSessionOptions,
  { idToken, postLogoutRedirectUri, state }: EndSessionRequest,
): Promise<URL | undefined> {
  const hint = idToken && decodeClaims(idToken)['login_hint']
  const parameters = {
    client_id: clientId,
    post_logout_redirect_uri: postLogoutRedirectUri,
    state,
    ...(typeof hint === 'string' && { logout_hint: hint }),
  }
  const build = endSessionTemplate
    ? (all: EndSessionParameters) => fillEndSessionTemplate(endSessionTemplate, all)
    : await builderOf(connection)
  if (!build || !idToken) return build?.(parameters)
  const url = build({ id_token_hint: idToken, ...parameters })
  return url.href.length > URL_MAX_CHARS ? build(parameters) : url
}

/** Never waits for discovery, so that a sign-out is not delayed. */
async function builderOf(connection: ProviderConnection) {
  const configuration = connection.isDiscovered ? await connection.configuration() : undefined
  if (!configuration?.serverMetadata().end_session_endpoint) return undefined
  return (parameters: Record<string, string>) =>
    client.buildEndSessionUrl(configuration, parameters)
}
