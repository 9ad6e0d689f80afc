import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort, startProcess } from '../../stand-ins/process.ts'
import { testClient } from '../../test/support/vestibule.ts'
import { createVisitor, describeTrail } from '../../test/support/visitor.ts'

const HOST = 'app.example.com'

/** Headers that oauth2-proxy names a user in and that its pages tell Traefik to copy. */
export const COPIED_HEADERS = [
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-Auth-Request-Preferred-Username',
  'X-Auth-Request-Groups',
]

/** Starts oauth2-proxy with sessions in Redis and without a log line per request, and signs a user in. */
export async function startOauth2Proxy(issuer: string, redisUrl: string) {
  const port = await freePort()
  const options = {
    provider: 'oidc',
    'oidc-issuer-url': issuer,
    'client-id': testClient.client_id,
    'client-secret': testClient.client_secret,
    'redirect-url': `https://${HOST}/oauth2/callback`,
    'code-challenge-method': 'S256',
    'email-domain': '*',
    scope: 'openid profile email groups',
    'http-address': `127.0.0.1:${port}`,
    upstream: 'static://202',
    'reverse-proxy': 'true',
    'trusted-proxy-ip': '127.0.0.1/32',
    'set-xauthrequest': 'true',
    'session-store-type': 'redis',
    'redis-connection-url': redisUrl,
    'cookie-secret': randomBytes(16).toString('hex'),
    'cookie-secure': 'true',
    'request-logging': 'false',
    'auth-logging': 'false',
    'skip-provider-button': 'true',
  }
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const running = startProcess('oauth2-proxy', args)
  const stop = async () => void (await running.stop('SIGKILL'))
  try {
    await untilReady(port)
    const cookie = await signIn(port)
    const pid = running.child.pid ?? 0
    return { port, pid, cookie, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw new Error(`oauth2-proxy cannot be used:\n${running.output()}`, { cause: error })
  }
}

async function untilReady(port: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/ping`).catch(() => undefined)
    if (answer?.ok) return
    await wait(50)
  }
  throw new Error('no answer to /ping')
}

async function signIn(port: number): Promise<string> {
  const browser = createVisitor({
    connectTo: { [HOST]: `http://127.0.0.1:${port}` },
    headers: { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': HOST },
  })
  await browser.signIn(`https://${HOST}/oauth2/start?rd=/oauth2/userinfo`, 'alice')
  const cookie = browser.cookies.header(new URL(`https://${HOST}/`))
  if (cookie?.includes('_oauth2_proxy=')) return cookie
  throw new Error(`not signed in:\n${describeTrail(browser.trail)}`)
}
