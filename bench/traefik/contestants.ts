import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { middlewareOptions } from '../../src/render/traefik.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startProvider } from '../../stand-ins/provider/provider.ts'
import { defaultSettings, testClient } from '../../test/support/vestibule.ts'
import {
  startVestibuleProcess,
  type VestibuleProcess,
} from '../../test/support/vestibule-process.ts'
import { redisServer } from '../load/redis-server.ts'
import { browserHeaders } from '../load/signed-in.ts'
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
  const files = await certificateFiles(stack)
  const start = async (mode: string, isTls: boolean) =>
    stack.use(
      await startVestibuleProcess({
        ...settings,
        REDIS_CACHE_MODE: mode,
        ...(isTls && {
          INTERNAL_TLS_CERT_FILE: files.certificate,
          INTERNAL_TLS_KEY_FILE: files.key,
        }),
      }),
    )
  const hybrid = await start('hybrid', false)
  const redisMode = await start('redis', false)
  const hybridTls = await start('hybrid', true)
  const redisTls = await start('redis', true)
  const session = `${await hybrid.signIn('alice')}; theme=dark`
  let outage = ''
  /** Takes a new outage cookie, which no check of the next three minutes renews (C62). */
  const renew = async () => {
    const { setCookies } = await hybrid.check({}, { ...browserHeaders, Cookie: session })
    const [pair] = (setCookies[0] ?? '').split(';')
    if (!pair?.includes('_outage=')) throw new Error('no outage cookie was given')
    outage = `; ${pair}`
  }
  const cookie = () => session + outage
  const config = loadConfig({ ...defaultSettings, ...settings })
  const check = middlewareOptions(config, '127.0.0.1', { server: {}, both: {} })
  const plain = ({ internalPort }: VestibuleProcess): Middlewares =>
    vestibuleMiddlewares(check, `http://127.0.0.1:${internalPort}/auth`)
  const tls = ({ internalPort }: VestibuleProcess): Middlewares =>
    vestibuleMiddlewares(check, `https://localhost:${internalPort}/auth`, files.authority)
  const ours = [
    { name: 'hybrid, plain', middlewares: plain(hybrid), pid: hybrid.pid },
    { name: 'hybrid, TLS and HTTP/2', middlewares: tls(hybridTls), pid: hybridTls.pid },
    { name: 'redis, plain', middlewares: plain(redisMode), pid: redisMode.pid },
    { name: 'redis, TLS and HTTP/2', middlewares: tls(redisTls), pid: redisTls.pid },
    {
      name: 'hybrid, TLS and HTTP/1.1',
      middlewares: tls(hybridTls),
      pid: hybridTls.pid,
      isWithoutHttp2: true,
    },
  ]
  const peer = hasPeer ? stack.use(await startOauth2Proxy(provider.issuer, redis.url)) : undefined
  const others = peer && {
    name: PEER,
    middlewares: oauth2ProxyMiddlewares(peer.port),
    pid: peer.pid,
    cookie: () => `${peer.cookie}; theme=dark`,
  }
  const contestants = [
    { name: 'Traefik alone', middlewares: {}, cookie },
    ...ours.map((each) => ({ ...each, cookie })),
    ...(others ? [others] : []),
  ]
  return { contestants, renew }
}

/** Returns the middlewares as `vestibule render traefik` writes them. */
function vestibuleMiddlewares(
  { strip, check }: ReturnType<typeof middlewareOptions>,
  address: string,
  authority?: string,
): Middlewares {
  const tls = authority === undefined ? {} : { tls: { ca: authority } }
  return { strip, check: { forwardAuth: { ...check.forwardAuth, address, ...tls } } }
}

function oauth2ProxyMiddlewares(port: number): Middlewares {
  return {
    check: {
      forwardAuth: {
        address: `http://127.0.0.1:${port}/oauth2/auth`,
        trustForwardHeader: true,
        authResponseHeaders: COPIED_HEADERS,
      },
    },
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
