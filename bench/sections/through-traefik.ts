import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { middlewareOptions } from '../../src/render/traefik.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { findProgram } from '../../stand-ins/process.ts'
import { startProvider } from '../../stand-ins/provider/provider.ts'
import { defaultSettings, testClient } from '../../test/support/vestibule.ts'
import {
  startVestibuleProcess,
  type VestibuleProcess,
} from '../../test/support/vestibule-process.ts'
import { type Round, totalCpuMicros } from '../load/load.ts'
import { redisServer } from '../load/redis-server.ts'
import { browserHeaders } from '../load/signed-in.ts'
import { inTurns, type Plan } from '../plan.ts'
import { ratios, spreadOf } from '../report/spread.ts'
import type { Row, Table } from '../report/table.ts'
import { openedConnections } from '../traefik/new-connections.ts'
import { COPIED_HEADERS, startOauth2Proxy } from '../traefik/oauth2-proxy.ts'
import { type Middlewares, startBenchTraefik } from '../traefik/traefik.ts'

const CLIENTS = [4, 32, 64, 128]
const WARM_UP_CLIENTS = 32
const HOST = 'app.example.com'
const PEER = 'oauth2-proxy, Redis'
const BASE = 'Traefik alone'
const CPU_SHARE = 'of oauth2-proxy, CPU'
const P50_SHARE = 'of oauth2-proxy, p50'

interface Contestant {
  readonly name: string
  readonly middlewares: Middlewares
  readonly cookie: () => string
  readonly pid?: number
  /** Whether Traefik's client may not use HTTP/2. */
  readonly isWithoutHttp2?: boolean
}

interface Measured extends Round {
  readonly newConnections: number
}

/** Measures checks through a real Traefik, of Vestibule by each way of speaking to it and of oauth2-proxy. */
export async function measureThroughTraefik(plan: Plan): Promise<readonly Table[]> {
  if (!findProgram('traefik')) {
    plan.say('through Traefik: not measured, because traefik is not on PATH')
    return []
  }
  const hasPeer = findProgram('oauth2-proxy') !== undefined
  if (!hasPeer) plan.say('oauth2-proxy is not on PATH: Traefik is measured without it')
  const results = new Map<number, Map<string, Measured[]>>()
  for (let lap = 0; lap < plan.laps; lap++) {
    plan.say(`through Traefik, processes ${lap + 1} of ${plan.laps}`)
    await runLap(plan, hasPeer, results)
  }
  return [...results].map(([clients, rounds]) => tableOf(clients, rounds, plan))
}

function tableOf(clients: number, rounds: ReadonlyMap<string, Measured[]>, plan: Plan): Table {
  const peer = rounds.get(PEER)
  const row = (name: string, own: readonly Measured[]): Row => {
    const cells = {
      'CPU µs, both': spreadOf(own.map(totalCpuMicros)),
      'of it Traefik': spreadOf(own.map(({ cpuMicros }) => cpuMicros[0] ?? Number.NaN)),
      ...(peer && { [CPU_SHARE]: ratios(own.map(totalCpuMicros), peer.map(totalCpuMicros)) }),
      'p50 ms': spreadOf(own.map(({ p50Ms }) => p50Ms)),
      ...(peer && {
        [P50_SHARE]: ratios(
          own.map(({ p50Ms }) => p50Ms),
          peer.map(({ p50Ms }) => p50Ms),
        ),
      }),
      'requests/s': spreadOf(own.map(({ perSecond }) => perSecond)),
      'new connections': spreadOf(own.map(({ newConnections }) => newConnections)),
    }
    const isAimed = clients === 64 && peer !== undefined && name.includes('HTTP/2')
    const aims = [CPU_SHARE, P50_SHARE].map((column) => ({ column, atMost: 0.7 }))
    return { name, cells, ...(isAimed && { aims }) }
  }
  const failures = [...rounds.values()].flat().reduce((sum, round) => sum + round.failures, 0)
  return {
    id: `traefik-${clients}`,
    title: `Through Traefik, ${clients} clients`,
    columns: [
      'CPU µs, both',
      'of it Traefik',
      CPU_SHARE,
      'p50 ms',
      P50_SHARE,
      'requests/s',
      'new connections',
    ],
    rows: [...rounds].map(([name, own]) => row(name, own)),
    notes: [
      `${plan.laps} × fresh processes, ${plan.rounds} rounds of ${plan.seconds} s each, in turns; failed requests: ${failures}`,
    ],
  }
}

async function runLap(
  { rounds, seconds, warmUpSeconds, generator }: Plan,
  hasPeer: boolean,
  results: Map<number, Map<string, Measured[]>>,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const { contestants, renew } = await startContestants(stack, hasPeer)
  const by = (isWithoutHttp2: boolean) =>
    new Map(
      contestants
        .filter((each) => (each.isWithoutHttp2 ?? false) === isWithoutHttp2)
        .map(({ name, middlewares }) => [slug(name), middlewares]),
    )
  const usual = stack.use(await startBenchTraefik(by(false)))
  const old = by(true)
  const withoutHttp2 =
    old.size === 0
      ? undefined
      : stack.use(await startBenchTraefik(old, { GODEBUG: 'http2client=0' }))
  const measure = async (contestant: Contestant, clients: number, forSeconds: number) => {
    const traefik = contestant.isWithoutHttp2 ? withoutHttp2 : usual
    if (!traefik) throw new Error('no Traefik for this contestant')
    const url = `${traefik.urls.get(slug(contestant.name))}/dashboard/items?page=2`
    const headers = {
      ...browserHeaders,
      Host: HOST,
      'X-Forwarded-Proto': 'https',
      Cookie: contestant.cookie(),
    }
    const pids = [traefik.pid, ...(contestant.pid === undefined ? [] : [contestant.pid])]
    const openedBefore = openedConnections()
    const load = { url, headers, connections: clients, seconds: forSeconds }
    const round = await generator.run(load, pids)
    const opened = openedConnections() - openedBefore - clients
    return { ...round, newConnections: opened / (round.perSecond * forSeconds) }
  }
  await renew()
  for (const contestant of contestants) await measure(contestant, WARM_UP_CLIENTS, warmUpSeconds)
  for (const clients of CLIENTS) {
    await renew()
    const measured = await inTurns(contestants, rounds, (contestant) =>
      measure(contestant, clients, seconds),
    )
    const all = results.get(clients) ?? new Map<string, Measured[]>()
    for (const [name, own] of measured) all.set(name, [...(all.get(name) ?? []), ...own])
    results.set(clients, all)
  }
}

function slug(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
}

async function startContestants(
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
  const check = middlewareOptions(loadConfig({ ...defaultSettings, ...settings }), '127.0.0.1')
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
    { name: BASE, middlewares: {}, cookie },
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
