import type { Draft } from '../draft.ts'
import { MigrationError } from '../old-configuration.ts'
import type { Alpha, AlphaHeader } from './alpha-configuration.ts'
import { PLACES } from './alpha-places.ts'
import type { GivenOption, GivenOptions } from './given-options.ts'
import type { InjectedHeader } from './header-options.ts'
import type { Upstream } from './upstreams.ts'

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
): GivenOptions {
  const options = new Map<string, GivenOption>()
  const [provider = {}, ...others] = providers
  readProvider(provider, options, draft)
  if (others.length > 0)
    draft.note(
      'todo',
      'providers',
      'names several providers, of which oauth2-proxy uses the first: let one provider stand before the others, or make an installation for each',
    )
  for (const [prefix, { main, secure }] of Object.entries(SERVERS))
    readServer(prefix === 'server' ? server : metricsServer, prefix, [main, secure], options)
  if ('tls' in server || 'TLS' in server)
    draft.note(
      'dropped',
      'server.tls',
      'TLS of browsers ends at Traefik; for TLS between Traefik and Vestibule see docs/tls.md',
    )
  return options
}

function readProvider(
  provider: Readonly<Record<string, unknown>>,
  options: Map<string, GivenOption>,
  draft: Draft,
): void {
  const given = Object.entries(flattened(provider)).filter(([, value]) => value !== null)
  for (const [place, value] of given) {
    const name = PLACES[place]
    const values = [value].flat().map(String)
    if (name === undefined) tellPlace(place, value, options, draft)
    else options.set(name, { label: `${HERE}.${place}`, values })
  }
}

/** Options that stand for the addresses of each server. */
const SERVERS = {
  server: { main: 'http-address', secure: 'https-address' },
  metricsServer: { main: 'metrics-address', secure: 'metrics-secure-address' },
} as const

type Server = NonNullable<Alpha['server']>

function readServer(
  { bindAddress, BindAddress, secureBindAddress, SecureBindAddress }: Server,
  prefix: string,
  [main, secure]: readonly [string, string],
  options: Map<string, GivenOption>,
): void {
  const address = bindAddress ?? BindAddress
  const secureAddress = secureBindAddress ?? SecureBindAddress
  if (address !== undefined)
    options.set(main, { label: `${prefix}.bindAddress`, values: [address] })
  if (secureAddress !== undefined)
    options.set(secure, { label: `${prefix}.secureBindAddress`, values: [secureAddress] })
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
        !/^\/[^$^(`]*$/.test(path ?? '/') ||
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
