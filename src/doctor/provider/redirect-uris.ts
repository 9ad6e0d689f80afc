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
  const ask = async () =>
    judge(await askProvider(url.href, { headers: { Accept: 'text/html' } }), redirectUri)
  try {
    const { findings, isCertain } = await ask()
    if (isCertain) return findings
    // Tries again as a sign-in begins, because the provider may refuse prompt=none itself.
    url.searchParams.delete('prompt')
    return (await ask()).findings
  } catch (cause) {
    note(
      `authorization_endpoint could not be asked from here (${failureCodeOf(cause)}), so redirect URIs were not examined.`,
    )
    return []
  }
}

interface Judgement {
  readonly findings: readonly Finding[]
  /** False where the provider may mean `prompt=none`. */
  readonly isCertain: boolean
}

function judge(answer: Answer, redirectUri: string): Judgement {
  const target = URL.parse(answer.headers.location ?? '')
  return target?.href.startsWith(redirectUri)
    ? judgeError(target.searchParams)
    : judgePage(answer, redirectUri)
}

/** Errors at the redirect URI that are about what was asked for, and not about the missing sign-in. */
const OF_REQUEST = new Set(['invalid_scope', 'unsupported_response_type'])
const OF_ANYTHING = new Set(['invalid_request', 'access_denied'])

function judgeError(parameters: URLSearchParams): Judgement {
  const error = parameters.get('error') ?? ''
  const description = parameters.get('error_description') ?? ''
  const said = `The provider answers ${quoted(`${error} ${description}`)}.`
  const isCertain = !OF_ANYTHING.has(error)
  if (error === 'unauthorized_client')
    return { isCertain, findings: [finding('client_grant', said)] }
  const isFault = !isCertain || OF_REQUEST.has(error)
  return { isCertain, findings: isFault ? [finding('provider_scope', said)] : [] }
}

/** Judges a page that people would see, on which some providers report an error with status 200 or after a redirect. */
function judgePage({ status, body, headers }: Answer, redirectUri: string): Judgement {
  const text = `${errorIn(headers.location)} ${textOf(body)}`.trim()
  const entra = /AADSTS(\d+)/.exec(text)?.[1]
  if (status < 400 && entra === undefined && errorIn(headers.location) === '')
    return { isCertain: true, findings: [] }
  const seen = `The provider answers ${status} to the redirect URI ${redirectUri}: ${quoted(text)}.`
  if (/redirect[ _-]?ur[il]|callback url/i.test(text) || entra === '50011') {
    const remedy = `Register ${redirectUri} at the provider for OIDC_CLIENT_ID.`
    return { isCertain: true, findings: [finding('redirect_uri', seen, remedy)] }
  }
  if (status >= 500 || status === 429)
    return { isCertain: true, findings: [finding('provider_unreachable', seen)] }
  return { isCertain: entra !== undefined, findings: [finding('client_unknown', seen)] }
}

/** Returns the error in the address of a provider's error page, which Google encodes. */
function errorIn(location = ''): string {
  const { pathname = '', searchParams } = URL.parse(location, 'https://provider.invalid') ?? {}
  if (!searchParams || !/\/error\b/.test(pathname)) return ''
  const { authError = '' } = Object.fromEntries(searchParams)
  return `${searchParams.get('error') ?? ''} ${Buffer.from(authError, 'base64').toString()}`.trim()
}

/** Returns what a page shows, in time that grows with its length only. */
function textOf(page: string): string {
  const shown = page
    .split(/<\/(?:style|script)>/i)
    .map((part) => part.split(/<(?:style|script)\b/i)[0])
  return shown
    .join(' ')
    .replace(/<[^<>]*>|</g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Keeps one finding of each kind that concerns the client and not a single redirect URI. */
function withoutRepeated(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(
    ({ code }, at) =>
      code === 'redirect_uri' || findings.findIndex((each) => each.code === code) === at,
  )
}
