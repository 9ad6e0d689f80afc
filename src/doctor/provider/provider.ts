import type { ServerMetadata } from 'openid-client'
import type { Config } from '../../config/config.ts'
import { acceptedAlgorithms } from '../../oidc/discovery/accepted-algorithms.ts'
import { createConfigurations } from '../../oidc/discovery/configurations.ts'
import { discover } from '../../oidc/discovery/discovery.ts'
import type { UsableMetadata } from '../../oidc/discovery/metadata.ts'
import { faultIn } from '../../oidc/request/provider-errors.ts'
import { createProviderFetch, type ProviderFetch } from '../../oidc/request/provider-fetch.ts'
import { toPublishedKeys } from '../../oidc/tokens/published-keys.ts'
import { CLOCK_TOLERANCE_SECONDS } from '../../oidc/tokens/token-rules.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding } from '../finding.ts'
import { examineCredentials } from './credentials.ts'
import { addressesOf, findMetadataUrl } from './metadata-url.ts'
import { examineRedirectUris } from './redirect-uris.ts'

/** Examines the provider with what the service itself uses, and asks as a browser without a session would. */
export async function examineProvider(patient: Patient): Promise<readonly Finding[]> {
  const { config } = patient
  const fetch = createProviderFetch(config.proxies)
  const found = await findMetadata(config, fetch)
  if ('findings' in found) return found.findings
  const { metadata, warnings } = found
  noteMissing(metadata, patient)
  const keys = await examineKeys(metadata, config, fetch)
  return [
    ...warnings.map((warning) => finding('provider_endpoint', `${warning}.`)),
    ...(await examineClock(patient)),
    ...keys,
    ...pkceFindings(metadata),
    ...methodFindings(metadata, config, fetch),
    ...(await examineRedirectUris(metadata, patient)),
    ...(await examineCredentials(metadata, patient, fetch)),
  ]
}

async function findMetadata(
  config: Config,
  fetch: ProviderFetch,
): Promise<UsableMetadata | { readonly findings: readonly Finding[] }> {
  try {
    return await discover({ ...addressesOf(config), use: 'sign-in', fetch })
  } catch (cause) {
    const fault = faultIn(cause)
    if (!fault) throw cause
    const isAnswer = fault.facts.http_status !== undefined || fault.facts.endpoint !== 'discovery'
    const { setting } = fault.facts
    const remedy = setting === undefined ? undefined : `Correct ${setting}, or what it leads to.`
    return {
      findings: [
        finding(
          isAnswer ? 'provider_metadata' : 'provider_unreachable',
          `${fault.message}.`,
          remedy,
        ),
      ],
    }
  }
}

/** Compares the clocks by the head of an answer, from which the service itself takes no date. */
async function examineClock({ config, askProvider }: Patient): Promise<readonly Finding[]> {
  const url = findMetadataUrl(config)
  const { date = '', age } = (await askProvider(url).catch(() => undefined))?.headers ?? {}
  // A cache passes the date of its origin on, and says how long ago that was.
  const offsetSeconds = (Date.parse(date) - Date.now()) / 1000 + (Number(age) || 0)
  if (Number.isNaN(offsetSeconds) || Math.abs(offsetSeconds) <= CLOCK_TOLERANCE_SECONDS) return []
  const direction = offsetSeconds > 0 ? 'ahead of' : 'behind'
  const seconds = Math.abs(offsetSeconds).toFixed(0)
  const seen = `The provider’s clock is ${seconds} s ${direction} this machine’s.`
  return [finding('provider_clock', seen)]
}

async function examineKeys(
  metadata: ServerMetadata,
  { settings }: Config,
  fetch: ProviderFetch,
): Promise<readonly Finding[]> {
  const uri = metadata.jwks_uri ?? ''
  const algorithms = acceptedAlgorithms(metadata, settings.OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG)
  try {
    const response = await fetch(uri, {
      headers: { Accept: 'application/json, application/jwk-set+json' },
    })
    const keys = response.status === 200 ? toPublishedKeys(await response.json()) : undefined
    if (!keys)
      return [
        finding('provider_keys', `jwks_uri was answered with ${response.status} and no keys.`),
      ]
    const usable = await Promise.all(
      keys.flatMap(({ importFor }) =>
        algorithms.map((algorithm) => importFor(algorithm).catch(() => undefined)),
      ),
    )
    if (usable.some((key) => key !== undefined)) return []
    const accepted = algorithms.join(', ') || 'none that is supported'
    return [
      finding('provider_algorithms', `No published key fits the accepted algorithms: ${accepted}.`),
    ]
  } catch (cause) {
    const fault = faultIn(cause)
    return [
      finding('provider_keys', `jwks_uri: ${fault ? fault.message : 'no key set was answered'}.`),
    ]
  }
}

/** Leaves metadata alone that list no methods, because many providers forget them. */
function pkceFindings({
  code_challenge_methods_supported: listed,
}: ServerMetadata): readonly Finding[] {
  const methods: unknown = listed
  if (!Array.isArray(methods) || methods.length === 0 || methods.includes('S256')) return []
  return [finding('provider_pkce', 'code_challenge_methods_supported lacks S256.')]
}

function methodFindings(
  metadata: ServerMetadata,
  { settings, clientCredentials }: Config,
  fetch: ProviderFetch,
): readonly Finding[] {
  const client = { clientId: settings.OIDC_CLIENT_ID, credentials: clientCredentials, fetch }
  const { warnings } = createConfigurations(metadata, client)
  return warnings.map((warning) => finding('provider_auth_method', `${warning}.`))
}

/** Tells what the provider does not offer, which is no fault of the installation. */
function noteMissing(metadata: ServerMetadata, { config, note }: Patient): void {
  const { settings } = config
  if (!metadata.end_session_endpoint && settings.OIDC_END_SESSION_URL === undefined)
    note(
      'the provider names no end_session_endpoint: a sign-out ends the session here and not there (OIDC_END_SESSION_URL).',
    )
  if (metadata['backchannel_logout_supported'] !== true)
    note('the provider names no back-channel logout: its sign-out ends no session here.')
  const grants: unknown = metadata.grant_types_supported
  if (Array.isArray(grants) && !grants.includes('refresh_token'))
    note('the provider names no grant refresh_token: sessions cannot be refreshed.')
  const scopes: unknown = metadata.scopes_supported
  const unknown = Array.isArray(scopes)
    ? settings.OIDC_SCOPES.split(' ').filter((each) => !scopes.includes(each))
    : []
  if (unknown.length > 0)
    note(`the provider does not list these of OIDC_SCOPES: ${unknown.join(', ')}.`)
}
