import { setTimeout as wait } from 'node:timers/promises'
import { startProcess } from '../../stand-ins/process.ts'
import type { VestibuleProcess } from '../../test/support/vestibule-process.ts'

/** Headers of a browser that opens a page; those of Traefik come on top. */
export const browserHeaders = {
  'User-Agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36',
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language': 'en',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Site': 'same-origin',
}

const forwarded = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/dashboard/items?page=2',
  'X-Forwarded-For': '203.0.113.7',
}

type Headers = Readonly<Record<string, string>>

/** Check of one visitor, with cookies that are kept as a browser keeps them. */
export interface SteadyCheck {
  /** Sends one check, takes over a renewed outage cookie, and returns the headers for the load. */
  readonly headers: () => Promise<Headers>
  /** Headers of the answer that apps receive. */
  readonly answered: Headers
  /** Returns the outage cookie behind a separator, or an empty text. */
  readonly outage: () => string
}

/**
 * Signs a user in, with an outage cookie that is renewed before each round, so that no check of the round sets one (C62).
 * `beside` adds cookies that mean nothing here, so that the headers of all contestants have the same size.
 */
export async function signedInCheck(
  vestibule: VestibuleProcess,
  beside = () => '',
): Promise<SteadyCheck> {
  const session = `${await vestibule.signIn('alice')}; theme=dark`
  const cookies = () => session + beside()
  return steadyCheck(vestibule, { ...forwarded, ...browserHeaders }, cookies, 'alice')
}

/** Returns the check of a program with a bearer token. */
export function bearerCheck(vestibule: VestibuleProcess, token: string): Promise<SteadyCheck> {
  const { 'User-Agent': _, ...browser } = browserHeaders
  const sent = { ...forwarded, ...browser, 'X-Forwarded-Uri': '/api/items' }
  return steadyCheck(vestibule, { ...sent, Authorization: `Bearer ${token}` }, undefined, 'robot')
}

async function steadyCheck(
  vestibule: VestibuleProcess,
  sent: Headers,
  cookies: (() => string) | undefined,
  user: string,
): Promise<SteadyCheck> {
  let outage = ''
  const withCookies = () => ({ ...sent, ...(cookies && { Cookie: cookies() + outage }) })

  async function check() {
    const answer = await vestibule.check({}, withCookies())
    if (answer.status !== 200 || answer.headers['x-auth-request-user'] !== user) {
      throw new Error(`the check does not answer as it should: ${answer.status}`)
    }
    const [pair] = (answer.setCookies[0] ?? '').split(';')
    if (pair?.includes('_outage=')) outage = `; ${pair}`
    return answer
  }

  await check()
  const { headers } = await check()
  const names = Object.keys(headers).filter((name) =>
    /^x-auth-|^cookie$|^content-length$/.test(name),
  )
  return {
    answered: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
    outage: () => outage,
    headers: async () => {
      await check()
      return withCookies()
    },
  }
}

/** Starts the bare server as a process. */
export async function bareServer(headers: Headers, ...redis: readonly string[]) {
  const script = ['bench/load/bare-process.ts', JSON.stringify(headers), ...redis]
  const running = startProcess(process.execPath, script)
  for (let tries = 0; tries < 500; tries++) {
    const port = /"internal_port":(\d+)/.exec(running.output())?.[1]
    if (port !== undefined) {
      const stop = async () => void (await running.stop('SIGKILL'))
      const pid = running.child.pid ?? 0
      return { internalPort: Number(port), pid, [Symbol.asyncDispose]: stop }
    }
    await wait(10)
  }
  await running.stop('SIGKILL')
  throw new Error(`the bare server did not start:\n${running.output()}`)
}
