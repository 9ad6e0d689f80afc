import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { checkOptions, stripOptions } from '../../src/render/middlewares.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startProvider } from '../../stand-ins/provider/provider.ts'
import { defaultSettings, testClient } from '../../test/support/vestibule.ts'
import {
  startVestibuleProcess,
  type VestibuleProcess,
} from '../../test/support/vestibule-process.ts'
import { redisServer } from '../load/redis-server.ts'
import { signedInCheck } from '../load/signed-in.ts'
import { COPIED_HEADERS, startOauth2Proxy } from './oauth2-proxy.ts'
import type { Middlewares } from './traefik.ts'

/** Name of the contestant beside which the others are measured. */
export const PEER = 'oauth2-proxy, Redis'

/** Service that Traefik asks, and how it asks. */
export interface Contestant {
  readonly name: string
  readonly middlewares: Middlewares
  readonly cookie: () => string
  readonly pid?: number
  /** True where Traefik's client may not use HTTP/2. */
  readonly isWithoutHttp2?: boolean
}

/** Starts Vestibule in each way of being asked, and oauth2-proxy; `renew` takes a new outage cookie. */
export async function startContestants(
  stack: AsyncDisposableStack,
  hasPeer: boolean,
): Promise<{ readonly contestants: readonly Contestant[]; readonly renew: () => Promise<void> }> {
  const provider = stack.use(await startProvider({ clients: [testClient] }))
  const redis = stack.use(await redisServer())
  const settings = {
    OIDC_ISSUER_URL: provider.issuer,
    SESSION_ENCRYPTION_KEY: redis.sessionKey,
    SESSION_OUTAGE_GRACE: '900',
    REDIS_ENABLED: 'true',
    REDIS_URL: redis.url,
  }
  const ours = await startVestibules(stack, settings)
  const visitor = await signedInCheck(ours.hybrid)
  let cookies = ''
  const renew = async () => {
    cookies = (await visitor.headers())['Cookie'] ?? ''
  }
  const cookie = () => cookies
  const config = loadConfig({ ...defaultSettings, ...settings })
  const check = checkOptions(config, '127.0.0.1', { server: {}, both: {} })
  const rendered = { strip: stripOptions(config), check }
  const peer = hasPeer ? stack.use(await startOauth2Proxy(provider.issuer, redis.url)) : undefined
  const contestants = [
    { name: 'Traefik alone', middlewares: {}, cookie },
    ...waysOf(ours, rendered).map((each) => ({ ...each, cookie })),
    ...(peer ? [oauth2ProxyContestant(peer)] : []),
  ]
  return { contestants, renew }
}

type Vestibules = Awaited<ReturnType<typeof startVestibules>>

async function startVestibules(
  stack: AsyncDisposableStack,
  settings: Readonly<Record<string, string>>,
) {
  const { authority, certificate, key } = await certificateFiles(stack)
  const tls = { INTERNAL_TLS_CERT_FILE: certificate, INTERNAL_TLS_KEY_FILE: key }
  const start = async (mode: string, further = {}) =>
    stack.use(await startVestibuleProcess({ ...settings, REDIS_CACHE_MODE: mode, ...further }))
  return {
    authority,
    hybrid: await start('hybrid'),
    redis: await start('redis'),
    hybridTls: await start('hybrid', tls),
    redisTls: await start('redis', tls),
  }
}

/** Middlewares as `vestibule render traefik` writes them. */
interface RenderedMiddlewares {
  readonly strip: ReturnType<typeof stripOptions>
  readonly check: ReturnType<typeof checkOptions>
}

function waysOf(
  { authority, hybrid, redis, hybridTls, redisTls }: Vestibules,
  rendered: RenderedMiddlewares,
): readonly Omit<Contestant, 'cookie'>[] {
  const plain = ({ internalPort, pid }: VestibuleProcess) => ({
    middlewares: vestibuleMiddlewares(rendered, `http://127.0.0.1:${internalPort}/auth`),
    pid,
  })
  const tls = ({ internalPort, pid }: VestibuleProcess) => ({
    middlewares: vestibuleMiddlewares(
      rendered,
      `https://localhost:${internalPort}/auth`,
      authority,
    ),
    pid,
  })
  return [
    { name: 'hybrid, plain', ...plain(hybrid) },
    { name: 'hybrid, TLS and HTTP/2', ...tls(hybridTls) },
    { name: 'redis, plain', ...plain(redis) },
    { name: 'redis, TLS and HTTP/2', ...tls(redisTls) },
    { name: 'hybrid, TLS and HTTP/1.1', ...tls(hybridTls), isWithoutHttp2: true },
  ]
}

/** Returns the middlewares with the address and authority of one of the services. */
function vestibuleMiddlewares(
  { strip, check }: RenderedMiddlewares,
  address: string,
  authority?: string,
): Middlewares {
  const tls = authority === undefined ? {} : { tls: { ca: authority } }
  return { strip, check: { forwardAuth: { ...check.forwardAuth, address, ...tls } } }
}

function oauth2ProxyContestant({
  port,
  pid,
  cookie,
}: Awaited<ReturnType<typeof startOauth2Proxy>>): Contestant {
  const forwardAuth = {
    address: `http://127.0.0.1:${port}/oauth2/auth`,
    trustForwardHeader: true,
    authResponseHeaders: COPIED_HEADERS,
  }
  return {
    name: PEER,
    middlewares: { check: { forwardAuth } },
    pid,
    cookie: () => `${cookie}; theme=dark`,
  }
}

async function certificateFiles(stack: AsyncDisposableStack) {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-bench-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const authority = await createAuthority()
  const { certificate, privateKey } = await authority.issue(['localhost'])
  const files = {
    authority: join(folder, 'ca.pem'),
    certificate: join(folder, 'tls.crt'),
    key: join(folder, 'tls.key'),
  }
  await writeFile(files.authority, authority.certificate)
  await writeFile(files.certificate, certificate)
  await writeFile(files.key, privateKey)
  return files
}
