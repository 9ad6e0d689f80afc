import { genericGrantRequest, ResponseBodyError, type ServerMetadata } from 'openid-client'
import { createAddresses } from '../../http/addresses.ts'
import { createConfigurations } from '../../oidc/discovery/configurations.ts'
import { responseOf } from '../../oidc/request/provider-errors.ts'
import type { ProviderFetch } from '../../oidc/request/provider-fetch.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding, quoted } from '../finding.ts'

/** Redeems a made-up code: a provider that knows the client answers `invalid_grant`, and issues nothing. */
export async function examineCredentials(
  metadata: ServerMetadata,
  { config, places, note }: Patient,
  fetch: ProviderFetch,
): Promise<readonly Finding[]> {
  const { settings, clientCredentials: credentials, publicSite, hosts } = config
  const [place] = places
  const endpoint = metadata.token_endpoint ?? ''
  if (!isPrivate(endpoint)) {
    note('token_endpoint is plain http, so the client’s credentials were not sent to it.')
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
    return judge(cause)
  }
}

/** Returns whether nobody but the provider reads what is sent to this address. */
function isPrivate(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint)
  return protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname)
}

function judge(cause: unknown): readonly Finding[] {
  const status = responseOf(cause)?.status
  if (!(cause instanceof ResponseBodyError)) {
    if (status === 401) return [finding('client_credentials', 'token_endpoint answers 401.')]
    const seen = cause instanceof Error ? quoted(cause.message) : 'no answer'
    return status === undefined
      ? [finding('provider_unreachable', `token_endpoint cannot be used: ${seen}.`)]
      : []
  }
  const { error } = cause
  const seen = `token_endpoint answers ${cause.status} and ${quoted(error)} to a made-up code.`
  if (error === 'invalid_client' || cause.status === 401)
    return [finding('client_credentials', seen)]
  return error === 'unauthorized_client' ? [finding('client_grant', seen)] : []
}
