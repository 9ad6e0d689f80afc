import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { generate } from 'selfsigned'
import { doctor } from '../../src/commands/doctor.ts'
import type { Environment } from '../../src/config/config.ts'
import { startApp } from '../../stand-ins/app.ts'
import { type Certificate, createAuthority } from '../../stand-ins/certificates.ts'
import type { ForwardAuth } from '../../stand-ins/proxy/forward-auth.ts'
import { type ProxyRoute, type StandInOptions, startStandIn } from '../../stand-ins/proxy/proxy.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { runCommand } from './command.ts'
import { startMeddler } from './meddler.ts'
import { startTestProvider } from './provider.ts'
import { startVestibule } from './vestibule.ts'

export interface SeenFinding {
  readonly code: string
  readonly seen: string
  readonly why: string
  readonly remedy: string
}

export type Installation = Awaited<ReturnType<typeof startInstallation>>

/** Gateway of one examination: the stand-in for Traefik, and over TLS with a certificate before it. */
export interface Gateway extends Partial<StandInOptions> {
  readonly tls?: Certificate
}

const DAY_MS = 86_400_000

/** Starts provider, app and service, with ports for a gateway over http and one over https; nothing is wrong with them. */
export async function startInstallation() {
  await using stack = new AsyncDisposableStack()
  const ports = {
    plain: await steadyPort(),
    secure: await steadyPort(),
    unused: await steadyPort(),
  }
  const plain = `http://app.localhost:${ports.plain}`
  const secure = `https://safe.localhost:${ports.secure}`
  const provider = stack.use(await startTestProvider({ origins: [plain, secure] }))
  const app = stack.use(await startApp())
  const settings = {
    HOST: '127.0.0.1',
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: provider.issuer,
    OIDC_CLIENT_ID: provider.clientId,
    OIDC_CLIENT_SECRET: provider.clientSecret,
    OIDC_SCOPES: 'openid profile email groups',
    SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  }
  const start = (changes: Readonly<Record<string, string>> = {}) =>
    startVestibule({ ...settings, PROTECTED_HOSTS: `${plain},${secure}`, ...changes })
  const vestibule = stack.use(await start())
  const authority = await createAuthority()
  const certificate = await authority.issue(['safe.localhost'])
  const resources = stack.move()
  return {
    ports,
    plain,
    secure,
    provider,
    app,
    vestibule,
    start,
    authority,
    certificate,
    /** Environment of the service behind the gateway over http. */
    environment: {
      ...settings,
      PROTECTED_HOSTS: plain,
      INTERNAL_PORT: `${vestibule.internalPort}`,
    } as Environment,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

export const publicUrl = ({ publicPort }: { readonly publicPort: number }) =>
  `http://127.0.0.1:${publicPort}`

export const checkOf = (
  { internalPort }: { readonly internalPort: number },
  changes: Partial<ForwardAuth> = {},
): ForwardAuth => ({
  address: `http://127.0.0.1:${internalPort}/auth`,
  authResponseHeaders,
  ...changes,
})

/** Routes of a host as they should be, for any host. */
export const routesOf = (
  { app, vestibule }: Pick<Installation, 'app' | 'vestibule'>,
  changes: { readonly app?: object; readonly signIn?: Partial<ProxyRoute> } = {},
): readonly ProxyRoute[] => [
  { host: '*', backend: app.url, forwardAuth: checkOf(vestibule), ...changes.app },
  { host: '*', pathPrefix: '/oauth2/', backend: publicUrl(vestibule), ...changes.signIn },
]

/** Starts the gateway at the ports of the installation, where another one was before. */
export async function startGateway(installation: Installation, { tls, ...options }: Gateway) {
  const { ports } = installation
  const stack = new AsyncDisposableStack()
  const standIn = stack.use(
    await startStandIn({
      routes: routesOf(installation),
      underscoreHeadersStrategy: 'delete',
      scheme: tls ? 'https' : 'http',
      ...(!tls && { port: ports.plain }),
      ...options,
    }),
  )
  if (tls) stack.use(await startMeddler(standIn.origin, { port: ports.secure, tls }))
  return stack
}

/** Issues a certificate that lives from one time to another, in days from now. */
export async function issueFor(
  name: string,
  fromDays: number,
  untilDays: number,
): Promise<Certificate> {
  const issued = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() + fromDays * DAY_MS),
    notAfterDate: new Date(Date.now() + untilDays * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: name }] },
    ],
  })
  return { certificate: issued.cert, privateKey: issued.private }
}

export async function writePem(path: string, { certificate }: { readonly certificate: string }) {
  await writeFile(path, certificate)
  return path
}

/** Runs the command, and returns what it found and printed. */
export async function runDoctor(environment: Environment, ...args: string[]) {
  const { code, output } = await runCommand(() => doctor(environment, '--json', ...args))
  const { findings } = JSON.parse(output.slice(output.indexOf('{\n'))) as {
    readonly findings: readonly SeenFinding[]
  }
  return { code, output, findings, codes: [...new Set(findings.map((each) => each.code))] }
}
