import { genericGrantRequest, ResponseBodyError, type ServerMetadata } from 'openid-client'
import { createAddresses } from '../../http/addresses.ts'
import { createConfigurations } from '../../oidc/discovery/configurations.ts'
import { responseOf } from '../../oidc/request/provider-errors.ts'
import type { ProviderFetch } from '../../oidc/request/provider-fetch.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { findMetadataUrl } from './metadata-url.ts'

/** Redeems a made-up code: a provider that knows the client answers `invalid_grant`, and issues nothing. */
export async function examineCredentials(
  metadata: ServerMetadata,
  { config, places, note }: Patient,
  fetch: ProviderFetch,
): Promise<readonly Finding[]> {
  const { settings, clientCredentials: credentials, publicSite, hosts } = config
  const [place] = places
  const endpoint = metadata.token_endpoint ?? ''
  // Whoever can change metadata on their way chooses where the secret goes.
  if (![findMetadataUrl(config), endpoint].every(isPrivate)) {
    note(
      'metadata or token_endpoint are plain http, so the client’s credentials were not sent there.',
    )
    return []
  }
  if (!place) return []
  const addresses = createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts })
  const client = { clientId: settings.OIDC_CLIENT_ID, credentials, fetch }
  const { usual } = createConfigurations(metadata, client)
  try {
    await genericGrantRequest(usual, 'authorization_code', {
      code: 'vestibule-doctor',
      redirect_uri: addresses.callback(place.site),
      code_verifier: 'vestibule-doctor-vestibule-doctor-vestibule',
    })
    return []
  } catch (cause) {
    return judge(cause, note)
  }
}

/** Returns whether nobody but the provider reads what is sent to this address. */
function isPrivate(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint)
  return protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)
}

function judge(cause: unknown, note: Patient['note']): readonly Finding[] {
  if (!(cause instanceof ResponseBodyError)) return judgeFailure(cause, note)
  const { error, status } = cause
  const seen = `token_endpoint answers ${status} and ${quoted(error)} to a made-up code.`
  if (error === 'invalid_client' || status === 401) return [finding('client_credentials', seen)]
  return error === 'unauthorized_client' ? [finding('client_grant', seen)] : []
}

/** Judges an answer that is none of OAuth, or that there was none. */
function judgeFailure(cause: unknown, note: Patient['note']): readonly Finding[] {
  const status = responseOf(cause)?.status
  if (status === 401) return [finding('client_credentials', 'token_endpoint answers 401.')]
  if (status === undefined || status >= 500) {
    const seen = status ?? (cause instanceof Error ? quoted(cause.message) : 'no answer')
    return [finding('provider_unreachable', `token_endpoint cannot be used: ${seen}.`)]
  }
  note(`token_endpoint answers ${status}, which says nothing about the client’s credentials.`)
  return []
}
