import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import {
  forwardAuthOf,
  type GatewayOptions,
  type RunningGateway,
  startGatewayProgram,
  type WriteGatewayFiles,
  withoutPort,
} from './gateway.ts'

/** Starts Traefik from PATH with a generated configuration, without API, dashboard and telemetry. */
export const startTraefik = (options: GatewayOptions): Promise<RunningGateway> =>
  startGatewayProgram('traefik', options, writeFiles)

const writeFiles: WriteGatewayFiles = async (folder, port, readyHost, options) => {
  const staticFile = join(folder, 'static.yml')
  const dynamicFile = join(folder, 'dynamic.yml')
  await writeFile(dynamicFile, stringify(dynamicConfiguration(readyHost, options)))
  await writeFile(staticFile, stringify(staticConfiguration(dynamicFile, port, options)))
  return [`--configFile=${staticFile}`]
}

const staticConfiguration = (dynamicFile: string, port: number, options: GatewayOptions) => ({
  global: { checkNewVersion: false, sendAnonymousUsage: false },
  log: { level: 'WARN' },
  entryPoints: {
    web: {
      address: `127.0.0.1:${port}`,
      ...(options.respondingTimeouts && {
        transport: { respondingTimeouts: options.respondingTimeouts },
      }),
      http: {
        ...(options.compress && { middlewares: ['compress@file'] }),
        underscoreHeadersStrategy: options.underscoreHeadersStrategy ?? 'keep',
        ...(options.scheme === 'https' && { tls: {} }),
      },
    },
  },
  ping: { manualRouting: true },
  providers: { file: { filename: dynamicFile, watch: false } },
})

const dynamicConfiguration = (readyHost: string, options: GatewayOptions) => {
  const { appUrl, vestibulePublicUrl, basePath = '/oauth2', protectSignIn } = options
  const host = options.hosts.map(hostMatcher).join(' || ')
  return {
    http: {
      routers: {
        ready: { rule: `Host(\`${readyHost}\`)`, service: 'ping@internal', priority: 1000 },
        app: { rule: host, service: 'app', priority: 10, middlewares: ['vestibule'] },
        'sign-in': {
          rule: `(${host}) && PathPrefix(\`${basePath}/\`)`,
          service: 'vestibule',
          priority: 100,
          ...(protectSignIn && { middlewares: ['vestibule'] }),
        },
      },
      middlewares: {
        ...(options.compress && { compress: { compress: options.compress } }),
        vestibule: {
          forwardAuth: {
            ...forwardAuthOf(options),
            trustForwardHeader: true,
            ...(options.checkTls && { tls: options.checkTls }),
          },
        },
      },
      services: {
        app: { loadBalancer: { servers: [{ url: appUrl }] } },
        vestibule: { loadBalancer: { servers: [{ url: vestibulePublicUrl }] } },
      },
    },
  }
}

const hostMatcher = (host: string): string => {
  const name = withoutPort(host)
  if (!name.startsWith('*')) return `Host(\`${name}\`)`
  return `HostRegexp(\`^[^.]+${name.slice(1).replaceAll('.', '\\.')}$\`)`
}
