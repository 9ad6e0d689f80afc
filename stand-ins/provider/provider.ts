import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { exportJWK, generateKeyPair } from 'jose'
import type {
  ClientMetadata,
  Configuration,
  JWKS,
  KoaContextWithOIDC,
  Provider,
} from 'oidc-provider'
import { closeServer, listenOn } from '../network/server.ts'
import { createInteraction } from './interaction.ts'
import { errorPage, logoutPage, signedOutPage } from './pages.ts'
import { createProviderStore } from './store.ts'
import { demoUsers, type ProviderUser } from './users.ts'

export { demoUsers, type ProviderUser } from './users.ts'

/** Suppresses the warning that oidc-provider prints at import on every runtime that is not an LTS release. */
const importQuietly = async () => {
  const { warn } = console
  console.warn = () => undefined
  try {
    return await import('oidc-provider')
  } finally {
    console.warn = warn
  }
}

const { Provider: OidcProvider } = await importQuietly()

type Features = NonNullable<Configuration['features']>

export interface ProviderOptions {
  readonly port?: number
  /** Address to listen at; loopback by default. */
  readonly host?: string
  /** Address for browsers and clients, when a proxy stands before this provider. */
  readonly issuer?: string
  readonly clients: readonly ClientMetadata[]
  readonly users?: readonly ProviderUser[]
  readonly configuration?: Configuration
}

export interface RunningProvider extends AsyncDisposable {
  readonly issuer: string
  readonly provider: Provider
  readonly server: Server
  readonly close: () => Promise<void>
}

/** Starts an OpenID provider whose sign-in page has one button per user. */
export const startProvider = async (options: ProviderOptions): Promise<RunningProvider> => {
  const users = options.users ?? demoUsers
  const server = createServer()
  const port = await listenOn(server, options.port, options.host)
  const issuer = options.issuer ?? `http://127.0.0.1:${port}`
  const provider = await createProvider(issuer, users, options)
  const interaction = getRequestListener(createInteraction(provider, users).fetch, {
    overrideGlobalObjects: false,
  })
  const protocol = provider.callback()
  server.on('request', (request, response) => {
    const handle = request.url?.startsWith('/interaction/') ? interaction : protocol
    void handle(request, response)
  })
  const close = () => closeServer(server)
  return { issuer, provider, server, close, [Symbol.asyncDispose]: close }
}

/** Generates private keys for a provider: RS256, which every client supports, and ES256. */
export const generateProviderKeys = async (): Promise<JWKS> => {
  const keys = await Promise.all(
    ['RS256', 'ES256'].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true })
      const kid = `${alg}-${crypto.randomUUID()}`
      return { ...(await exportJWK(privateKey)), kty: kty(alg), alg, use: 'sig', kid }
    }),
  )
  return { keys }
}

const kty = (alg: string): string => (alg === 'RS256' ? 'RSA' : 'EC')

const createProvider = async (
  issuer: string,
  users: readonly ProviderUser[],
  { clients, configuration }: ProviderOptions,
): Promise<Provider> => {
  const base = baseConfiguration(users)
  const provider = new OidcProvider(issuer, {
    ...base,
    clients,
    jwks: configuration?.jwks ?? (await generateProviderKeys()),
    ...configuration,
    ttl: { ...base.ttl, ...configuration?.ttl },
    features: { ...baseFeatures, ...configuration?.features } as Features,
  })
  provider.on('server_error', (_context, error) => console.error('provider:', error))
  return provider
}

const emailClaims = ['email', 'email_verified']
const hourSeconds = 60 * 60
const daySeconds = 24 * hourSeconds

const baseConfiguration = (users: readonly ProviderUser[]): Configuration => ({
  adapter: createProviderStore(),
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  claims: {
    openid: ['sub'],
    email: emailClaims,
    profile: profileClaims(users),
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  cookies: { keys: [crypto.randomUUID()] },
  // Without the dispatcher that refuses addresses of this machine, where the clients are.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined } as object),
  findAccount: (_context, sub) => {
    const user = users.find((candidate) => candidate.sub === sub)
    return user && { accountId: sub, claims: () => ({ ...user }) }
  },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  // Most providers issue a refresh token without offline_access.
  issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  loadExistingGrant: grantWhatIsAsked,
  pkce: { required: () => true },
  renderError: async (context, out) => {
    context.type = 'html'
    context.body = String(await errorPage(out))
  },
  ttl: {
    AccessToken: hourSeconds,
    AuthorizationCode: 60,
    Grant: 14 * daySeconds,
    IdToken: hourSeconds,
    Interaction: hourSeconds,
    RefreshToken: 14 * daySeconds,
    Session: 14 * daySeconds,
  },
})

const baseFeatures: Features = {
  backchannelLogout: { enabled: true },
  devInteractions: { enabled: false },
  revocation: {
    enabled: true,
    allowedPolicy: (_context, client, token) => token.clientId === client.clientId,
  },
  rpInitiatedLogout: {
    enabled: true,
    logoutSource: async (context, form) => {
      context.body = String(await logoutPage(form))
    },
    postLogoutSuccessSource: async (context) => {
      context.body = String(await signedOutPage())
    },
  },
}

/** Returns all claims of the users for the scope `profile`, so that tests can try any claim. */
const profileClaims = (users: readonly ProviderUser[]): readonly string[] => {
  const names = users.flatMap((user) => Object.keys(user))
  return [...new Set(['name', 'preferred_username', 'groups', ...names])].filter(
    (name) => name !== 'sub' && !emailClaims.includes(name),
  )
}

const grantWhatIsAsked = async (context: KoaContextWithOIDC) => {
  const { client, session, params, provider, result } = context.oidc
  if (!client || !session?.accountId) return undefined
  const grantId = result?.consent?.grantId ?? session.grantIdFor(client.clientId)
  const known = grantId ? await provider.Grant.find(grantId) : undefined
  const { accountId } = session
  const grant = known ?? new provider.Grant({ accountId, clientId: client.clientId })
  const scope = params?.['scope']
  grant.addOIDCScope(typeof scope === 'string' ? scope : 'openid')
  await grant.save()
  return grant
}
