import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { freePort, startProcess } from '../../stand-ins/process.ts'

/** Middlewares that a contestant puts before the app, in their order. */
export type Middlewares = Readonly<Record<string, object>>

export interface RunningTraefik extends AsyncDisposable {
  readonly pid: number
  /** Address of each contestant's entry point. */
  readonly urls: ReadonlyMap<string, string>
}

/**
 * Starts one Traefik with an entry point for each contestant. The app behind them is Traefik's own ping, because another
 * process would add the same cost to all of them.
 */
export async function startBenchTraefik(
  contestants: ReadonlyMap<string, Middlewares>,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningTraefik> {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-bench-'))
  const ports = new Map<string, number>()
  for (const name of ['debug', ...contestants.keys()]) ports.set(name, await freePort())
  const staticFile = join(folder, 'static.yml')
  const dynamicFile = join(folder, 'dynamic.yml')
  await writeFile(dynamicFile, stringify(dynamicConfiguration(contestants)))
  await writeFile(staticFile, stringify(staticConfiguration(dynamicFile, ports)))
  const running = startProcess('traefik', [`--configFile=${staticFile}`], {
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...environment },
  })
  const close = async () => {
    await running.stop('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  const urlOf = (name: string) => `http://127.0.0.1:${ports.get(name)}`
  try {
    await untilReady(urlOf('debug'))
  } catch (error) {
    await close()
    throw new Error(`Traefik is not ready:\n${running.output()}`, { cause: error })
  }
  return {
    pid: running.child.pid ?? 0,
    urls: new Map([...contestants.keys()].map((name) => [name, urlOf(name)])),
    [Symbol.asyncDispose]: close,
  }
}

function staticConfiguration(dynamicFile: string, ports: ReadonlyMap<string, number>) {
  return {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'ERROR' },
    api: { debug: true },
    ping: { manualRouting: true },
    entryPoints: Object.fromEntries(
      [...ports].map(([name, port]) => [
        name,
        {
          address: `127.0.0.1:${port}`,
          // The load stands for a balancer that ends TLS and says so.
          forwardedHeaders: { trustedIPs: ['127.0.0.1/32'] },
        },
      ]),
    ),
    providers: { file: { filename: dynamicFile, watch: false } },
  }
}

function dynamicConfiguration(contestants: ReadonlyMap<string, Middlewares>) {
  const named = [...contestants].map(([name, middlewares]) => ({
    name,
    middlewares: Object.entries(middlewares).map(
      ([each, options]) => [`${name}-${each}`, options] as const,
    ),
  }))
  const router = (entryPoint: string, service: string, middlewares: readonly string[] = []) => ({
    rule: 'PathPrefix(`/`)',
    entryPoints: [entryPoint],
    service,
    ...(middlewares.length > 0 && { middlewares }),
  })
  const middlewares = Object.fromEntries(named.flatMap((each) => each.middlewares))
  return {
    http: {
      routers: {
        debug: router('debug', 'api@internal'),
        ...Object.fromEntries(
          named.map((each) => [
            each.name,
            router(
              each.name,
              'ping@internal',
              each.middlewares.map(([name]) => name),
            ),
          ]),
        ),
      },
      ...(Object.keys(middlewares).length > 0 && { middlewares }),
    },
  }
}

async function untilReady(debugUrl: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const answer = await fetch(`${debugUrl}/api/http/routers`).catch(() => undefined)
    if (answer?.ok && (await answer.text()).includes('ping@internal')) return
    await wait(100)
  }
  throw new Error('no router answers')
}
