import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { startApp } from '../stand-ins/app.ts'
import { findProgram, freePort, isFree } from '../stand-ins/process.ts'
import { demoUsers, startProvider } from '../stand-ins/provider/provider.ts'
import {
  type GatewayOptions,
  type RunningGateway,
  startStandInGateway,
} from '../stand-ins/proxy/gateway.ts'
import { startTraefik } from '../stand-ins/proxy/traefik.ts'
import {
  authResponseHeaders,
  type RunningVestibule,
  startVestibule,
} from '../stand-ins/vestibule.ts'

const CLIENT_ID = 'vestibule-demo'

/** The first match decides; the rest is open to every user of the provider. */
const rules = [
  { paths: ['/public/**'], access: 'public' },
  { name: 'admin pages', paths: ['/admin/**'], access: 'signed-in', groups: ['admins'] },
]

/** Starts all parts and runs until a signal comes or a part ends. Resolves with the exit code. */
const main = async (): Promise<number> => {
  const interrupted = new Promise<undefined>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve(undefined))
    if (process.env['npm_lifecycle_event']) whenOrphaned(() => resolve(undefined))
  })

  await using stack = new AsyncDisposableStack()
  const port = (await isFree(PREFERRED_PORT)) ? PREFERRED_PORT : await freePort()
  const origin = `http://localhost:${port}`
  const clientSecret = randomBytes(24).toString('base64url')
  const broadcastToken = randomBytes(24).toString('base64url')
  const provider = stack.use(await startProvider({ clients: [clientFor(origin, clientSecret)] }))
  const app = stack.use(await startApp())
  const rulesFile = await writeRules(stack)
  const vestibule = stack.use(
    await startVestibule({
      PROTECTED_HOSTS: origin,
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: CLIENT_ID,
      OIDC_CLIENT_SECRET: clientSecret,
      ALLOW_ANY_USER: 'true',
      BROADCAST_TOKEN: broadcastToken,
      VESTIBULE_CONFIG: rulesFile,
    }),
  )
  const gateway = stack.use(
    await startGateway({
      port,
      hosts: ['localhost'],
      vestibulePublicUrl: vestibule.publicUrl,
      vestibuleCheckUrl: vestibule.checkUrl,
      appUrl: app.url,
      authResponseHeaders,
      addAuthCookies: ['vestibule_outage'],
      underscoreHeadersStrategy: 'delete',
    }),
  )
  await untilGuarded(origin, vestibule)
  process.stdout.write(welcome(origin, provider.issuer, vestibule))
  process.stdout.write(ownRules(origin, rulesFile))
  process.stdout.write(connectedClients(origin, vestibule.internalUrl, broadcastToken))

  const failure = await Promise.race([interrupted, firstEnd(vestibule, gateway)])
  if (failure) process.stderr.write(`${failure}\n`)
  return failure ? 1 : 0
}

/** Calls `end` when the parent has ended: npm passes SIGTERM to its shell, which ends without passing it on. */
const whenOrphaned = (end: () => void): void => {
  const parent = process.ppid
  setInterval(() => process.ppid !== parent && end(), 500).unref()
}

const PREFERRED_PORT = 8080

const clientFor = (origin: string, clientSecret: string) => ({
  client_id: CLIENT_ID,
  client_secret: clientSecret,
  redirect_uris: [`${origin}/oauth2/callback`],
  post_logout_redirect_uris: [`${origin}/oauth2/signed-out`],
  // Ends what another window signs in anew before the sign-out has reached the provider.
  backchannel_logout_uri: `${origin}/oauth2/backchannel-logout`,
  backchannel_logout_session_required: true,
})

const writeRules = async (stack: AsyncDisposableStack): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-demo-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'rules.yaml')
  await writeFile(file, stringify({ rules }))
  return file
}

const startGateway = (options: GatewayOptions): Promise<RunningGateway> =>
  findProgram('traefik') ? startTraefik(options) : startStandInGateway(options)

const GUARDED_WITHIN_MS = 15_000

/** Waits until a visitor is sent to sign in, which needs every part but the app. */
const untilGuarded = async (origin: string, vestibule: RunningVestibule): Promise<void> => {
  const deadlineMs = performance.now() + GUARDED_WITHIN_MS
  let last = 'no answer'
  while (performance.now() < deadlineMs) {
    const status = await statusOf(`${origin}/oauth2/login`)
    if (status === 302) return
    last = String(status)
    await wait(100)
  }
  const log = vestibule.process.output()
  throw new Error(`sign-in did not get ready at ${origin}: ${last}\n${log}`)
}

const statusOf = async (url: string): Promise<number | string> => {
  try {
    const { status } = await fetch(url, {
      redirect: 'manual',
      headers: { Accept: 'text/html' },
      signal: AbortSignal.timeout(2000),
    })
    return status
  } catch (error) {
    return error instanceof Error ? error.message : 'failed'
  }
}

/** Names the part that ended, after a moment, because Ctrl-C in a terminal ends the parts as well. */
const firstEnd = async (vestibule: RunningVestibule, gateway: RunningGateway): Promise<string> => {
  const reason = await Promise.race([
    vestibule.process.exited.then(() => `Vestibule ended:\n${vestibule.process.output()}`),
    (gateway.exited ?? new Promise<never>(() => undefined)).then(() => 'The proxy ended.'),
  ])
  return wait(200, reason)
}

const welcome = (origin: string, issuer: string, vestibule: RunningVestibule): string => `
Vestibule guards this application: ${origin}

  proxy      ${findProgram('traefik') ? 'Traefik' : 'a stand-in for Traefik (no traefik on PATH)'}
  provider   ${issuer}
  people     ${demoUsers.map(({ sub, groups }) => `${sub} (${String(groups).replaceAll(',', ', ')})`).join(', ')}
  operators  ${vestibule.internalUrl}/health  and  /metrics

In a browser
  ${origin}/                sign in as either
  ${origin}/admin           only alice may; bob is told so and may change over
  ${origin}/public/hello    needs no sign-in
  ${origin}/oauth2/me       who Vestibule thinks you are

With curl
  curl -i ${origin}/                          401 with a login_url, for programs
  curl -i -H 'Accept: text/html' ${origin}/   302 to the sign-in, for people
  page=$(curl -sLo /dev/null -w '%{url_effective}' -c jar -b jar -H 'Accept: text/html' ${origin}/headers)
  curl -sL -c jar -b jar -d login=bob "$page"               signs bob in and shows the headers
  curl -s -b jar -H 'X-Auth-Request-User: root' ${origin}/headers   still bob
  curl -i -b jar ${origin}/admin              403
  curl -N -b jar ${origin}/events             server-sent events of the app
`

const ownRules = (origin: string, file: string): string => `
Rules may be edited while this runs (docs/rules.md)
  ${file}
  PROTECTED_HOSTS=${origin} VESTIBULE_CONFIG=${file} npm run --silent vestibule -- \\
    explain --url=${origin}/admin --user=bob --groups=staff
`

const connectedClients = (origin: string, internalUrl: string, token: string): string => `
Open pages are told: open two windows as the same person
  sign out in one           the other asks for a sign-in
  ${origin}/oauth2/sessions from another browser: end the session of this one
  curl -N -b jar ${origin}/oauth2/events      what a page is told

A notice to every open page, from an app and from the command line
  curl ${internalUrl}/admin/broadcast \\
    -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\
    -d '{"event":"notice","data":{"text":"Tea at four"}}'
  BROADCAST_TOKEN=${token} npm run --silent vestibule -- \\
    broadcast --url=${internalUrl} notice '{"text":"For Bob alone"}' --user=bob

Ctrl-C ends everything.
`

process.exit(await main())
