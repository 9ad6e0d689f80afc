import { createHash, randomBytes } from 'node:crypto'
import type { ServerMetadata } from 'openid-client'
import { createAddresses } from '../../http/addresses.ts'
import { type Answer, failureCodeOf } from '../ask.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding, quoted } from '../finding.ts'

/** Asks the provider for each redirect URI whether it would send a browser back to it, without any sign-in there. */
export async function examineRedirectUris(
  metadata: ServerMetadata,
  patient: Patient,
): Promise<readonly Finding[]> {
  const { config, places } = patient
  const { settings, publicSite, hosts } = config
  const addresses = createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts })
  const findings: Finding[] = []
  for (const redirectUri of new Set(places.map(({ site }) => addresses.callback(site)))) {
    findings.push(...(await examineRedirectUri(metadata, redirectUri, patient)))
  }
  return withoutRepeated(findings)
}

async function examineRedirectUri(
  { authorization_endpoint: endpoint = '' }: ServerMetadata,
  redirectUri: string,
  { config, askProvider, note }: Patient,
): Promise<readonly Finding[]> {
  const { settings, authorizationParams } = config
  const url = new URL(endpoint)
  const challenge = createHash('sha256').update(randomBytes(32)).digest('base64url')
  const parameters = {
    ...Object.fromEntries(authorizationParams),
    client_id: settings.OIDC_CLIENT_ID,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: settings.OIDC_SCOPES,
    state: randomBytes(16).toString('base64url'),
    nonce: randomBytes(16).toString('base64url'),
    code_challenge: challenge,
    code_challenge_method: 'S256',
    // Makes the provider answer at once, with login_required where it accepts client and redirect URI.
    prompt: 'none',
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  try {
    return judge(await askProvider(url.href, { headers: { Accept: 'text/html' } }), redirectUri)
  } catch (cause) {
    note(
      `authorization_endpoint could not be asked from here (${failureCodeOf(cause)}), so redirect URIs were not examined.`,
    )
    return []
  }
}

function judge(answer: Answer, redirectUri: string): readonly Finding[] {
  const target = URL.parse(answer.headers.location ?? '')
  return target?.href.startsWith(redirectUri)
    ? judgeError(target.searchParams)
    : judgePage(answer, redirectUri)
}

/** Errors at the redirect URI that are about what was asked for, and not about the missing sign-in. */
const OF_REQUEST = new Set([
  'invalid_scope',
  'invalid_request',
  'unsupported_response_type',
  'access_denied',
])

function judgeError(parameters: URLSearchParams): readonly Finding[] {
  const error = parameters.get('error') ?? ''
  const description = parameters.get('error_description') ?? ''
  const said = `The provider answers ${quoted(`${error} ${description}`)}.`
  if (error === 'unauthorized_client') return [finding('client_grant', said)]
  return OF_REQUEST.has(error) ? [finding('provider_scope', said)] : []
}

/** Judges a page that people would see, on which some providers report an error with status 200. */
function judgePage({ status, body }: Answer, redirectUri: string): readonly Finding[] {
  const text = textOf(body)
  const entra = /AADSTS(\d+)/.exec(text)?.[1]
  if (status < 400 && entra === undefined) return []
  const seen = `The provider answers ${status} to the redirect URI ${redirectUri}: ${quoted(text)}.`
  const isAboutUri = /redirect[ _-]?ur[il]/i.test(text) || entra === '50011'
  const remedy = `Register ${redirectUri} at the provider for OIDC_CLIENT_ID.`
  return [isAboutUri ? finding('redirect_uri', seen, remedy) : finding('client_unknown', seen)]
}

function textOf(page: string): string {
  return page.replace(/<style.*?<\/style>|<script.*?<\/script>|<[^>]*>/gs, ' ').replace(/\s+/g, ' ')
}

/** Keeps one finding of each kind that concerns the client and not a single redirect URI. */
function withoutRepeated(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(
    ({ code }, at) =>
      code === 'redirect_uri' || findings.findIndex((each) => each.code === code) === at,
  )
}
