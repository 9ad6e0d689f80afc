import type { AddressInfo } from 'node:net'
import type { JWK, JWTPayload } from 'jose'
import type { ClientMetadata, Configuration, JWKS } from 'oidc-provider'
import {
  type Json,
  type ProviderFront,
  startProviderFront,
} from '../../stand-ins/provider/front.ts'
import {
  demoUsers,
  generateProviderKeys,
  type ProviderUser,
  type RunningProvider,
  startProvider,
} from '../../stand-ins/provider/provider.ts'
import { createProviderStore } from '../../stand-ins/provider/store.ts'
import { type ClaimChanges, changeClaims, claimsOf, type SignOptions, signToken } from './tokens.ts'

export { type Behaviour, type Endpoint, faults } from '../../stand-ins/provider/front.ts'

export interface TestProviderOptions {
  readonly port?: number
  /** Origins that may carry `/oauth2/callback` and `/oauth2/signed-out`; more with `allowOrigin`. */
  readonly origins?: readonly string[]
  readonly basePath?: string
  readonly client?: Partial<ClientMetadata>
  readonly users?: readonly ProviderUser[]
  readonly configuration?: Configuration
}

export type TestProvider = Awaited<ReturnType<typeof startTestProvider>>

const CLIENT_ID = 'vestibule'
const CLIENT_SECRET = 'a client secret with % and : in it'

/** Starts the demo provider behind a front that can misbehave, count requests, and sign with its keys. */
export async function startTestProvider(options: TestProviderOptions = {}) {
  const { port, pointTo, ...front } = await startProviderFront(options.port ?? 0)
  const issuer = `http://127.0.0.1:${port}`
  const store = createProviderStore()
  const client = createClientRecord(options, (metadata) =>
    store('Client').upsert(CLIENT_ID, metadata),
  )
  await client.save()
  const inner = createInner(issuer, { ...options.configuration, adapter: store }, options.users)
  const lent = options.configuration?.jwks ? undefined : await lendKeys()
  const { keys = [] } = options.configuration?.jwks ?? lent ?? {}
  await inner.useKeys(keys as readonly JWK[], pointTo)
  const minting = createMinting(issuer, inner.keys)
  const close = async (): Promise<void> => {
    await front.close()
    await inner.close()
    if (lent) spareKeys.push(lent)
  }

  return {
    ...front,
    ...minting,
    issuer,
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    allowOrigin: client.allow,
    changeClient: client.change,
    /** Replaces the signing keys, and publishes the old ones only with `keepOld`; sessions and grants stay. */
    rotateKeys: async ({ keepOld = false } = {}) => {
      const fresh = (await generateProviderKeys()).keys as readonly JWK[]
      await inner.useKeys(keepOld ? [...fresh, ...inner.keys()] : fresh, pointTo)
    },
    /** Changes every ID token from now on, and signs it again. */
    tamperIdToken: (changes: ClaimChanges, how?: SignOptions) => {
      const rewrite = async (body: Json): Promise<Json> => {
        if (typeof body['id_token'] !== 'string') return body
        const claims = changeClaims(claimsOf(body['id_token']), changes)
        return { ...body, id_token: await minting.sign(claims, how) }
      }
      front.set('token', { rewrite })
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Unused key pairs of this process, kept because RSA keys are slow to generate. */
const spareKeys: JWKS[] = []

async function lendKeys(): Promise<JWKS> {
  return spareKeys.pop() ?? (await generateProviderKeys())
}

/** Runs the provider itself; restarts it over the same store for new keys. */
function createInner(
  issuer: string,
  configuration: Configuration,
  users: readonly ProviderUser[] = demoUsers,
) {
  let keys: readonly JWK[] = []
  let running: RunningProvider | undefined
  return {
    keys: () => keys,
    useKeys: async (next: readonly JWK[], pointTo: ProviderFront['pointTo']): Promise<void> => {
      const jwks = { keys: next as JWKS['keys'] }
      const cookies = { keys: ['test'] }
      const previous = running
      running = await startProvider({
        issuer,
        users,
        clients: [],
        configuration: { ...configuration, cookies, jwks },
      })
      keys = next
      pointTo((running.server.address() as AddressInfo).port)
      await previous?.close()
    },
    close: async (): Promise<void> => running?.close(),
  }
}

function createMinting(issuer: string, keys: () => readonly JWK[]) {
  const sign = (claims: JWTPayload, how?: SignOptions) => signToken(keys(), claims, how)
  const standardClaims = (): JWTPayload => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    return { iss: issuer, aud: CLIENT_ID, sub: 'alice', iat: nowSeconds, exp: nowSeconds + 300 }
  }
  return {
    sign,
    mintIdToken: (changes: ClaimChanges = {}, how?: SignOptions) =>
      sign(changeClaims(standardClaims(), changes), how),
    mintLogoutToken: (changes: ClaimChanges = {}, how: SignOptions = {}) => {
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const claims = { ...standardClaims(), jti: crypto.randomUUID(), events }
      const header = { typ: 'logout+jwt', ...how.header }
      return sign(changeClaims(claims, changes), { ...how, header })
    },
  }
}

function createClientRecord(
  { origins = [], basePath = '/oauth2', client = {} }: TestProviderOptions,
  write: (metadata: ClientMetadata) => Promise<unknown>,
) {
  const allowed = new Set(origins)
  let changes: Partial<ClientMetadata> = client
  const save = async (): Promise<void> => {
    await write({
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [...allowed, 'https://unused.invalid'].map(
        (at) => `${at}${basePath}/callback`,
      ),
      post_logout_redirect_uris: [...allowed].map((at) => `${at}${basePath}/signed-out`),
      ...changes,
    })
  }
  return {
    save,
    allow: async (origin: string): Promise<void> => {
      allowed.add(origin)
      await save()
    },
    change: async (further: Partial<ClientMetadata>): Promise<void> => {
      changes = { ...changes, ...further }
      await save()
    },
  }
}
