import type { Draft } from '../draft.ts'
import { MigrationError } from '../old-configuration.ts'
import type { Alpha, AlphaHeader } from './alpha-configuration.ts'
import type { GivenOption } from './given-options.ts'
import type { InjectedHeader } from './headers.ts'
import type { Upstream } from './upstreams.ts'

/** Options of the command line by their places in a provider of the alpha configuration. */
const PLACES: Readonly<Record<string, string>> = {
  clientID: 'client-id',
  clientSecret: 'client-secret',
  clientSecretFile: 'client-secret-file',
  provider: 'provider',
  name: 'provider-display-name',
  caFiles: 'provider-ca-file',
  useSystemTrustStore: 'use-system-trust-store',
  loginURL: 'login-url',
  authRequestResponseMode: 'auth-request-response-mode',
  redeemURL: 'redeem-url',
  profileURL: 'profile-url',
  skipClaimsFromProfileURL: 'skip-claims-from-profile-url',
  resource: 'resource',
  validateURL: 'validate-url',
  scope: 'scope',
  allowedGroups: 'allowed-group',
  code_challenge_method: 'code-challenge-method',
  backendLogoutURL: 'backend-logout-url',
  'keycloakConfig.groups': 'keycloak-group',
  'keycloakConfig.roles': 'allowed-role',
  'azureConfig.tenant': 'azure-tenant',
  'azureConfig.graphGroupField': 'azure-graph-group-field',
  'microsoftEntraIDConfig.allowedTenants': 'entra-id-allowed-tenant',
  'microsoftEntraIDConfig.federatedTokenAuth': 'entra-id-federated-token-auth',
  'bitbucketConfig.team': 'bitbucket-team',
  'bitbucketConfig.repository': 'bitbucket-repository',
  'githubConfig.org': 'github-org',
  'githubConfig.team': 'github-team',
  'githubConfig.repo': 'github-repo',
  'githubConfig.token': 'github-token',
  'githubConfig.users': 'github-user',
  'gitlabConfig.group': 'gitlab-group',
  'gitlabConfig.projects': 'gitlab-project',
  'googleConfig.group': 'google-group',
  'googleConfig.adminEmail': 'google-admin-email',
  'googleConfig.serviceAccountJson': 'google-service-account-json',
  'googleConfig.useApplicationDefaultCredentials': 'google-use-application-default-credentials',
  'googleConfig.targetPrincipal': 'google-target-principal',
  'googleConfig.useOrganizationID': 'google-use-organization-id',
  'googleConfig.adminAPIUserScope': 'google-admin-api-user-scope',
  'oidcConfig.issuerURL': 'oidc-issuer-url',
  'oidcConfig.insecureAllowUnverifiedEmail': 'insecure-oidc-allow-unverified-email',
  'oidcConfig.insecureSkipIssuerVerification': 'insecure-oidc-skip-issuer-verification',
  'oidcConfig.insecureSkipNonce': 'insecure-oidc-skip-nonce',
  'oidcConfig.skipDiscovery': 'skip-oidc-discovery',
  'oidcConfig.jwksURL': 'oidc-jwks-url',
  'oidcConfig.publicKeyFiles': 'oidc-public-key-file',
  'oidcConfig.emailClaim': 'oidc-email-claim',
  'oidcConfig.groupsClaim': 'oidc-groups-claim',
  'oidcConfig.userIDClaim': 'user-id-claim',
  'oidcConfig.audienceClaims': 'oidc-audience-claim',
  'oidcConfig.extraAudiences': 'oidc-extra-audience',
  'oidcConfig.enabledSigningAlgs': 'oidc-enabled-signing-alg',
  'loginGovConfig.jwtKey': 'jwt-key',
  'loginGovConfig.jwtKeyFile': 'jwt-key-file',
  'loginGovConfig.pubjwkURL': 'pubjwk-url',
}

/** Parameters of the sign-in that are options of the command line. */
const LOGIN_PARAMETERS: Readonly<Record<string, string>> = {
  acr_values: 'acr-values',
  approval_prompt: 'approval-prompt',
  prompt: 'prompt',
}

const HERE = 'providers[0]'

/** Returns the options that the first provider and the server of the alpha configuration stand for. */
export function optionsOfAlpha(
  { providers = [], server = {}, metricsServer = {} }: Alpha,
  draft: Draft,
) {
  const options = new Map<string, GivenOption>()
  const [provider = {}, ...others] = providers
  for (const [place, value] of Object.entries(flattened(provider))) {
    const name = PLACES[place]
    const values = [value].flat().map(String)
    if (name !== undefined) options.set(name, { label: `${HERE}.${place}`, values })
    else tellPlace(place, value, options, draft)
  }
  if (others.length > 0)
    draft.note(
      'todo',
      'providers',
      'names several providers, of which oauth2-proxy uses the first: let one provider stand before the others, or make an installation for each',
    )
  const places = [
    ['http-address', 'server.bindAddress', server.bindAddress ?? server.BindAddress],
    [
      'https-address',
      'server.secureBindAddress',
      server.secureBindAddress ?? server.SecureBindAddress,
    ],
    [
      'metrics-address',
      'metricsServer.bindAddress',
      metricsServer.bindAddress ?? metricsServer.BindAddress,
    ],
    [
      'metrics-secure-address',
      'metricsServer.secureBindAddress',
      metricsServer.secureBindAddress ?? metricsServer.SecureBindAddress,
    ],
  ] as const
  for (const [name, label, value] of places) {
    if (value !== undefined) options.set(name, { label, values: [value] })
  }
  if (server.tls !== undefined || server.TLS !== undefined)
    draft.note(
      'dropped',
      'server.tls',
      'TLS of browsers ends at Traefik; for TLS between Traefik and Vestibule see docs/tls.md',
    )
  return options
}

/** Returns members of members under paths. */
function flattened(provider: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const entries = Object.entries(provider).flatMap(([key, value]) =>
    key.endsWith('Config') && value !== null && typeof value === 'object'
      ? Object.entries(value).map(([inner, each]) => [`${key}.${inner}`, each] as const)
      : [[key, value] as const],
  )
  return Object.fromEntries(entries)
}

function tellPlace(
  place: string,
  value: unknown,
  options: Map<string, GivenOption>,
  draft: Draft,
): void {
  const label = `${HERE}.${place}`
  if (place === 'id') draft.note('carried', label, 'names nothing outside that file')
  else if (place === 'additionalClaims')
    draft.note('carried', label, 'headers and rules may use each claim of the ID token or UserInfo')
  else if (place === 'ADFSConfig.skipScope')
    draft.note('differs', label, '`OIDC_SCOPES` is what is asked for')
  else if (place === 'loginURLParameters') readParameters(value, options, draft)
  else throw new MigrationError([`${label} is no member of a provider of oauth2-proxy 7.15.3`])
}

function readParameters(value: unknown, options: Map<string, GivenOption>, draft: Draft): void {
  for (const each of [value].flat() as Readonly<Record<string, unknown>>[]) {
    const { name, default: byDefault, allow } = each
    const label = `${HERE}.loginURLParameters.${String(name)}`
    const option = LOGIN_PARAMETERS[String(name)]
    if (option !== undefined && byDefault !== undefined)
      options.set(option, { label, values: [byDefault].flat().map(String) })
    else
      draft.note(
        'todo',
        label,
        'is for `OIDC_AUTHORIZATION_PARAMS`, if it is to be in every request',
      )
    if (allow !== undefined)
      draft.note('dropped', label, 'no link of a visitor changes what the provider is asked')
  }
}

/** Returns the upstreams of the alpha configuration. */
export function upstreamsOfAlpha({ upstreamConfig = {} }: Alpha): readonly Upstream[] {
  return (upstreamConfig.upstreams ?? []).map(
    ({ id, path, uri = '', static: isStatic = false, rewriteTarget }) => ({
      label: `upstreamConfig.upstreams.${id ?? ''}`,
      path: path ?? '/',
      uri,
      isStatic,
      isSpecial:
        rewriteTarget !== undefined ||
        /[$^(]/.test(path ?? '') ||
        (URL.parse(uri)?.pathname ?? '/') !== '/',
    }),
  )
}

/** Returns the headers for apps: those of requests count only where oauth2-proxy passed them on itself. */
export function headersOfAlpha(
  { injectRequestHeaders = [], injectResponseHeaders = [] }: Alpha,
  isProxy: boolean,
  draft: Draft,
): readonly InjectedHeader[] {
  if (!isProxy) {
    for (const { name } of injectRequestHeaders)
      draft.note(
        'dropped',
        `injectRequestHeaders.${name}`,
        'had no effect behind `forwardAuth`; if an app needs the header, add it to `identityHeaders`',
      )
  }
  const requests = isProxy
    ? injectRequestHeaders.flatMap((each) => readHeader(each, 'injectRequestHeaders', draft))
    : []
  return [
    ...requests,
    ...injectResponseHeaders.flatMap((each) => readHeader(each, 'injectResponseHeaders', draft)),
  ]
}

function readHeader(
  { name, preserveRequestValue, values }: AlphaHeader,
  list: string,
  draft: Draft,
): readonly InjectedHeader[] {
  const label = `${list}.${name}`
  if (preserveRequestValue)
    draft.note('stricter', label, 'what a client sends under this name is deleted')
  const [first = {}, ...others] = values
  if (others.length > 0)
    draft.note('differs', label, 'has several values, of which the first is sent')
  const source = { ...first, ...first.claimSource, ...first.secretSource }
  const { claim, prefix = '', basicAuthPassword } = source
  if (basicAuthPassword) return [{ label, name: 'Authorization', claim: 'basic', prefix }]
  if (claim !== undefined) return [{ label, name, claim, prefix }]
  draft.note(
    'todo',
    label,
    'is the same for everybody, and may be a secret: give it to the app by a `headers` middleware of Traefik on its router',
  )
  return []
}
