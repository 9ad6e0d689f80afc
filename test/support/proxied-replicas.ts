import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startApp } from '../../stand-ins/app.ts'
import { startGatewayProgram, type WriteGatewayFiles } from '../../stand-ins/proxy/gateway.ts'
import { proxyMissing, startProxy } from '../../stand-ins/proxy/proxies.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { type CookieJar, createCookieJar } from './cookie-jar.ts'
import { type ReplicaProcesses, startReplicas, untilStarted } from './replicas.ts'
import { startRoundRobin } from './round-robin.ts'
import type { VestibuleProcess } from './vestibule-process.ts'
import { createVisitor, type Visitor } from './visitor.ts'

/** Caddy spreads requests itself; each Traefik has one address that spreads its connections. */
export const entrances = ['caddy', 'traefik', 'another traefik'] as const
export type Entrance = (typeof entrances)[number]

export function entranceMissing(entrance: Entrance): string | undefined {
  return proxyMissing(entrance === 'caddy' ? 'caddy' : 'traefik')
}

/** The demo's app behind several proxies, all of them before the same replicas of Vestibule. */
export interface ProxiedReplicas extends AsyncDisposable {
  readonly replicas: ReplicaProcesses
  /** Those that run now. */
  readonly all: () => readonly VestibuleProcess[]
  readonly restart: (at: number, signal: 'SIGTERM' | 'SIGKILL') => Promise<void>
  /** Starts one more replica, which no proxy knows. */
  readonly addAside: (settings: Settings) => Promise<VestibuleProcess>
  /** A browser that comes in here; with the cookies of another one it is the same person. */
  readonly browser: (entrance: Entrance, cookies?: CookieJar) => Visitor
  /** A browser that is routed to this very replica, sign-in pages only. */
  readonly browserAt: (replica: VestibuleProcess, cookies: CookieJar) => Visitor
}

type Settings = Readonly<Record<string, string>>

export interface ProxiedReplicasOptions {
  readonly count: number
  /** Plain http names below `localhost`. */
  readonly hosts: readonly string[]
  readonly settings?: Settings
}

interface Ports {
  readonly publicPort: number
  readonly internalPort: number
}

export async function startProxiedReplicas(
  options: ProxiedReplicasOptions,
): Promise<ProxiedReplicas> {
  await using stack = new AsyncDisposableStack()
  const origins = options.hosts.map((host) => `http://${host}`)
  const replicas = stack.use(await startReplicas({ count: 0, provider: { origins } }))
  const settings = { PROTECTED_HOSTS: origins.join(), DRAIN_SECONDS: '1', ...options.settings }
  const ports: Ports[] = []
  for (let at = 0; at < options.count; at += 1) {
    ports.push({ publicPort: await steadyPort(), internalPort: await steadyPort() })
  }
  const ready = new Set<number>()
  const start = async ({ publicPort, internalPort }: Ports): Promise<VestibuleProcess> => {
    const [PORT, INTERNAL_PORT] = [`${publicPort}`, `${internalPort}`]
    const replica = await replicas.add({ ...settings, PORT, INTERNAL_PORT })
    await untilStarted(replica)
    ready.add(publicPort).add(internalPort)
    return replica
  }
  const running = await Promise.all(ports.map(start))
  const origin = await startEntrances(stack, options.hosts, ports, (port) => ready.has(port))
  const browserTo = (address: string, cookies: CookieJar): Visitor =>
    createVisitor({
      connectTo: Object.fromEntries(options.hosts.map((host) => [host, address])),
      cookies,
    })
  const resources = stack.move()
  return {
    replicas,
    all: () => [...running],
    restart: async (at, signal) => {
      const own = ports[at] as Ports
      if (signal === 'SIGTERM') {
        for (const port of [own.publicPort, own.internalPort]) ready.delete(port)
      }
      await running[at]?.stop(signal)
      running[at] = await start(own)
    },
    addAside: async (further) => {
      const replica = await replicas.add({ ...settings, DRAIN_SECONDS: '0', ...further })
      await untilStarted(replica)
      return replica
    },
    browser: (entrance, cookies = createCookieJar()) => browserTo(origin(entrance), cookies),
    browserAt: ({ publicPort }, cookies) => browserTo(`http://127.0.0.1:${publicPort}`, cookies),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

async function startEntrances(
  stack: AsyncDisposableStack,
  hosts: readonly string[],
  ports: readonly Ports[],
  isReady: (port: number) => boolean,
): Promise<(entrance: Entrance) => string> {
  const app = stack.use(await startApp())
  const origins = new Map<Entrance, string>()
  for (const entrance of entrances.filter((each) => !entranceMissing(each))) {
    const common = { port: await steadyPort(), hosts, appUrl: app.url, authResponseHeaders }
    if (entrance === 'caddy') {
      const unused = { vestibulePublicUrl: '', vestibuleCheckUrl: '' }
      const proxy = await startGatewayProgram('caddy', { ...common, ...unused }, spreading(ports))
      origins.set(entrance, stack.use(proxy).origin)
      continue
    }
    const spread = async (key: keyof Ports) =>
      stack.use(
        await startRoundRobin(
          ports.map((each) => each[key]),
          isReady,
        ),
      )
    const [toPublic, toCheck] = [await spread('publicPort'), await spread('internalPort')]
    const proxy = await startProxy('traefik', {
      ...common,
      vestibulePublicUrl: `http://127.0.0.1:${toPublic.port}`,
      vestibuleCheckUrl: `http://127.0.0.1:${toCheck.port}/auth`,
    })
    origins.set(entrance, stack.use(proxy).origin)
  }
  return (entrance) => {
    const origin = origins.get(entrance)
    if (!origin) throw new Error(entranceMissing(entrance))
    return origin
  }
}

/** The check answers them only where there is something to say, which old Caddy cannot take over. */
const NOT_ALWAYS_ANSWERED = new Set(['Cookie', 'X-Auth-Request-Access-Token'])

/** Every request goes to the next replica; one that does not answer is left out. */
function spreading(ports: readonly Ports[]): WriteGatewayFiles {
  return async (folder, port, readyHost, { hosts, appUrl }) => {
    const file = join(folder, 'Caddyfile')
    const to = (key: keyof Ports): string =>
      ports.map((each) => `http://127.0.0.1:${each[key]}`).join(' ')
    const copied = authResponseHeaders.filter((name) => !NOT_ALWAYS_ANSWERED.has(name))
    const balance = `lb_policy round_robin
      lb_try_duration 5s
      lb_try_interval 50ms`
    await writeFile(
      file,
      `{
  admin off
  auto_https off
}
http://${readyHost}:${port} {
  bind 127.0.0.1
  respond "OK"
}
${hosts.map((host) => `http://${host}:${port}`).join(', ')} {
  bind 127.0.0.1
  route {
    reverse_proxy /oauth2/* ${to('publicPort')} {
      ${balance}
    }
${copied.map((name) => `    request_header -${name}`).join('\n')}
    forward_auth ${to('internalPort')} {
      uri /auth
      health_uri /startupz
      health_interval 100ms
      copy_headers ${copied.join(' ')}
      ${balance}
    }
    reverse_proxy ${appUrl}
  }
}
`,
    )
    return ['run', '--config', file, '--adapter', 'caddyfile']
  }
}
