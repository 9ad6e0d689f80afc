import type { ServerMetadata } from 'openid-client'
import { cleanText, cleanUrl } from '../../core/clean-text.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import { ProviderFault } from '../request/provider-errors.ts'
import type { ProviderFetch } from '../request/provider-fetch.ts'
import { metadataUrlOf, type ProviderAddresses, placeEndpoints } from './internal-address.ts'
import { issuerFault } from './issuer-fault.ts'
import { type IssuerUse, type UsableMetadata, usableMetadata } from './metadata.ts'

export interface DiscoveryRequest extends ProviderAddresses {
  readonly use: IssuerUse
  readonly fetch: ProviderFetch
}

const HEADERS = { Accept: 'application/json', 'User-Agent': 'vestibule' }
const NOT_CONFORM = 'ERR_PROVIDER_METADATA'

/**
 * Fetches and checks the metadata of a provider (OpenID Connect Discovery 1.0 section 4). Rejects with a `ProviderFault`
 * that names the address asked, the status, and the setting to look at (finding C53).
 */
export async function discover(request: DiscoveryRequest): Promise<UsableMetadata> {
  const url = metadataUrlOf(request)
  const setting = settingOf(request)
  const facts = { endpoint: 'discovery', setting, url: cleanUrl(url) }
  const response = await request.fetch(url, { headers: HEADERS }, { facts })
  const { status } = response
  const known = { ...facts, http_status: status }
  const body = parseJson(await response.text())
  if (status !== 200) {
    const remedy = status === 404 ? remedyFor(url, nameOf(request)) : ''
    const text = `the metadata at ${facts.url} were answered with ${status}${saidIn(body)}${remedy}`
    throw new ProviderFault(text, NOT_CONFORM, known)
  }
  if (!isRecord(body))
    throw new ProviderFault('the metadata are no JSON object', NOT_CONFORM, known)
  if (body['issuer'] !== request.issuerUrl) throw issuerFault(body['issuer'], request, known)
  return usableMetadata(placeEndpoints(body as ServerMetadata, request), request)
}

function settingOf({ internalUrl, use }: DiscoveryRequest): string {
  if (use === 'keys') return 'VESTIBULE_CONFIG'
  return internalUrl === undefined ? 'OIDC_ISSUER_URL' : 'OIDC_INTERNAL_URL'
}

function nameOf(request: DiscoveryRequest): string {
  return request.use === 'keys' ? 'the issuer in the rules' : settingOf(request)
}

/** Returns what the provider says of a refusal, such as Keycloak's "Realm does not exist". */
function saidIn(body: unknown): string {
  const texts = isRecord(body) ? [body['error'], body['error_description']] : []
  const said = texts.filter((text) => typeof text === 'string').map((text) => cleanText(text))
  return said.length > 0 ? ` (${said.join(': ')})` : ''
}

/** Returns what to try at an address that the server does not know. */
function remedyFor(url: string, setting: string): string {
  const { pathname } = new URL(url)
  if (pathname.startsWith('/auth/realms/')) {
    return `; does ${setting} name the right realm? Keycloak has no /auth since version 17`
  }
  if (pathname.startsWith('/realms/')) {
    return `; does ${setting} name the right realm? Keycloak before version 17 needs /auth in front of it`
  }
  return `; is the path of ${setting} right?`
}
