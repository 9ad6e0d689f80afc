import { setTimeout as wait } from 'node:timers/promises'
import { type RunningProcess, startProcess } from '../../demo/process.ts'
import { steadyPort } from './steady-port.ts'
import { createVisitor, type Visit, type VisitHeaders, type Visitor } from './visitor.ts'

/** The forwarded request of a check; what is not given is a plain GET navigation to `https://app.example.com/`. */
export interface Forwarded {
  readonly method?: string
  readonly proto?: string
  readonly host?: string
  readonly uri?: string
  readonly for?: string
}

export interface RunningVestibule extends AsyncDisposable {
  readonly publicPort: number
  readonly internalPort: number
  readonly pid: number
  /** Calls `/auth` as Traefik would. Further headers are sent as spelled; `undefined` takes one away. */
  readonly check: (forwarded?: Forwarded, headers?: VisitHeaders) => Promise<Visit>
  /** A browser that reaches the protected hosts through this service alone. */
  readonly visitor: (hosts?: readonly string[]) => Visitor
  /** Signs `sub` in at `host` and returns the `Cookie` header that a check needs. */
  readonly signIn: (sub: string, host?: string) => Promise<string>
  readonly internal: (path: string) => Promise<Visit>
  /** One object per line logged so far. */
  readonly log: () => readonly Record<string, unknown>[]
  readonly output: () => string
  readonly isAlive: () => boolean
  readonly stop: (signal?: 'SIGTERM' | 'SIGINT' | 'SIGKILL') => Promise<number | null>
}

const HOSTS = ['app.example.com', 'other.example.com']
const READY_WITHIN_MS = 10_000

/** Clients for the provider of a test: the redirect URIs of the hosts above. */
export const testClient = {
  client_id: 'vestibule',
  client_secret: 'vestibule-secret',
  redirect_uris: HOSTS.map((host) => `https://${host}/oauth2/callback`),
  post_logout_redirect_uris: HOSTS.map((host) => `https://${host}/oauth2/signed-out`),
}

const defaults = {
  // Processes by the hundred read the same sources.
  NODE_COMPILE_CACHE: 'node_modules/.cache/node-compile',
  HOST: '127.0.0.1',
  PORT: '0',
  INTERNAL_PORT: '0',
  PROTECTED_HOSTS: HOSTS.join(','),
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'http://127.0.0.1:9',
  OIDC_CLIENT_ID: testClient.client_id,
  OIDC_CLIENT_SECRET: testClient.client_secret,
  OIDC_SCOPES: 'openid profile email groups',
  DRAIN_SECONDS: '0',
}

/** Starts `node src/main.ts serve` with the given settings, Node's own among them, over defaults that suit most tests. */
export const startVestibule = async (
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningVestibule> => {
  const running = startProcess(process.execPath, ['src/main.ts', 'serve'], {
    env: { PATH: process.env['PATH'] ?? '', ...defaults, ...settings },
  })
  // A line of which only a part has come is none yet.
  const log = () => running.output().split('\n').slice(0, -1).flatMap(parseLine)
  return describeRunning(running, log, await untilListening(running.exited, log, running.output))
}

/** The same, writing its log to a file of which it cannot be told when it listens. */
export const startVestibuleLoggingTo = async (
  file: string,
  settings: Readonly<Record<string, string>>,
): Promise<RunningVestibule> => {
  const ready = { publicPort: await steadyPort(), internalPort: await steadyPort() }
  const ports = { PORT: `${ready.publicPort}`, INTERNAL_PORT: `${ready.internalPort}` }
  const command = 'exec "$0" src/main.ts serve >"$1"'
  const running = startProcess('sh', ['-c', command, process.execPath, file], {
    env: { PATH: process.env['PATH'] ?? '', ...defaults, ...settings, ...ports },
  })
  const described = describeRunning(running, () => [], ready)
  const isLive = () =>
    described.internal('/livez').then(
      ({ status }) => status === 200,
      () => false,
    )
  for (const end = performance.now() + READY_WITHIN_MS; !(await isLive()); await wait(10)) {
    if (performance.now() < end && described.isAlive()) continue
    await described.stop('SIGKILL')
    throw new Error(`vestibule did not start:\n${running.output()}`)
  }
  return described
}

const describeRunning = (
  running: RunningProcess,
  log: RunningVestibule['log'],
  ready: Pick<RunningVestibule, 'publicPort' | 'internalPort'>,
): RunningVestibule => {
  const check: RunningVestibule['check'] = (forwarded = {}, headers = {}) =>
    createVisitor().get(`http://127.0.0.1:${ready.internalPort}/auth`, {
      headers: {
        'X-Forwarded-Method': forwarded.method ?? 'GET',
        'X-Forwarded-Proto': forwarded.proto ?? 'https',
        'X-Forwarded-Host': forwarded.host ?? 'app.example.com',
        'X-Forwarded-Uri': forwarded.uri ?? '/',
        'X-Forwarded-For': forwarded.for ?? '203.0.113.7',
        ...headers,
      },
    })
  const visitor: RunningVestibule['visitor'] = (hosts = HOSTS) =>
    createVisitor({
      connectTo: Object.fromEntries(
        hosts.map((host) => [host, `http://127.0.0.1:${ready.publicPort}`]),
      ),
    })
  const signIn: RunningVestibule['signIn'] = async (sub, host = 'app.example.com') => {
    const browser = visitor([host])
    await browser.signIn(`https://${host}/oauth2/login?rd=/oauth2/me`, sub)
    const cookie = browser.cookies.header(new URL(`https://${host}/`))
    if (!cookie?.includes('vestibule=')) {
      throw new Error(
        `${sub} is not signed in: ${browser.trail.map((v) => `${v.status} ${v.url}`).join(', ')}`,
      )
    }
    return cookie
  }
  const stop = running.stop
  return {
    ...ready,
    pid: running.child.pid ?? 0,
    check,
    visitor,
    signIn,
    internal: (path) => createVisitor().get(`http://127.0.0.1:${ready.internalPort}${path}`),
    log,
    output: running.output,
    isAlive: () => running.child.exitCode === null && running.child.signalCode === null,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop('SIGKILL')
    },
  }
}

const parseLine = (line: string): Record<string, unknown>[] =>
  line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []

const untilListening = async (
  exited: Promise<number | null>,
  log: () => readonly Record<string, unknown>[],
  output: () => string,
): Promise<{ publicPort: number; internalPort: number }> => {
  let hasExited = false
  void exited.then(() => {
    hasExited = true
  })
  for (const end = performance.now() + READY_WITHIN_MS; performance.now() < end; await wait(10)) {
    const line = log().find((entry) => entry['event'] === 'listening')
    if (line)
      return { publicPort: Number(line['port']), internalPort: Number(line['internal_port']) }
    if (hasExited) break
  }
  throw new Error(`vestibule did not start:\n${output()}`)
}
