import { randomBytes } from 'node:crypto'
import { freePort, startProcess } from '../../../stand-ins/process.ts'
import { until } from '../own-lag.ts'
import type { SentClaims } from '../policy-model/written.ts'
import { startTestProvider } from '../provider.ts'
import { createVisitor } from '../visitor.ts'
import { type Comparison, type Outcome, START_PAGE } from './example.ts'

const APP = 'https://app.example.com'
const OUTCOMES: Readonly<Record<number, Outcome>> = { 202: 'pass', 302: 'sign in', 403: 'refuse' }

/** Starts oauth2-proxy as its page on Traefik says, with further options, at a provider that says any claims. */
export async function startOauth2Proxy(options: readonly string[]) {
  await using stack = new AsyncDisposableStack()
  const provider = stack.use(await startTestProvider({ origins: [APP], users: [{ sub: 'bare' }] }))
  const port = await freePort()
  const running = startProcess('oauth2-proxy', [
    '--provider=oidc',
    `--oidc-issuer-url=${provider.issuer}`,
    `--client-id=${provider.clientId}`,
    `--client-secret=${provider.clientSecret}`,
    `--redirect-url=${APP}/oauth2/callback`,
    '--code-challenge-method=S256',
    '--scope=openid profile email groups',
    `--http-address=127.0.0.1:${port}`,
    '--upstream=static://202',
    '--reverse-proxy=true',
    '--trusted-proxy-ip=127.0.0.1/32',
    '--real-client-ip-header=X-Forwarded-For',
    `--cookie-secret=${randomBytes(16).toString('hex')}`,
    '--skip-provider-button=true',
    ...options,
  ])
  stack.defer(async () => void (await running.stop('SIGKILL')))
  const isUp = async () => (await fetch(`http://127.0.0.1:${port}/ping`)).ok
  await until('oauth2-proxy', () => isUp().catch(() => false))
  const resources = stack.move()
  const connectTo = { 'app.example.com': `http://127.0.0.1:${port}` }
  const forwarded = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'app.example.com' }

  /** Returns the cookies of a person, or `undefined` where the sign-in itself is refused. */
  async function signIn(claims: SentClaims): Promise<string | undefined> {
    provider.tamperIdToken({ email: 'ann@example.com', sub: 'ann', ...claims })
    const browser = createVisitor({ connectTo, headers: forwarded })
    await browser.signIn(`${APP}/oauth2/start?rd=/oauth2/userinfo`, 'bare')
    const cookie = browser.cookies.header(new URL(APP))
    return cookie?.includes('_oauth2_proxy=') ? cookie : undefined
  }

  /** Asks as Traefik does, with the parameters of this peer in place of ours. */
  async function ask(row: Comparison): Promise<Outcome> {
    const { url = START_PAGE, method = 'GET', query = '', from, who } = row
    const cookie = who && (await signIn(who))
    if (who && cookie === undefined) return 'refuse'
    const parameters = query.replaceAll(/(?<=^|&)groups=/g, 'allowed_groups=')
    const { status } = await createVisitor().get(`http://127.0.0.1:${port}/?${parameters}`, {
      headers: {
        ...forwarded,
        'X-Forwarded-Method': method,
        'X-Forwarded-Uri': new URL(url).pathname,
        'X-Forwarded-For': from,
        Cookie: cookie,
      },
    })
    return OUTCOMES[status] ?? (`${status}` as Outcome)
  }

  return { ask, output: running.output, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}
