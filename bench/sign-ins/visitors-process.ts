import { Agent, get, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { atPace } from '../load/paced.ts'
import { browserHeaders } from '../load/signed-in.ts'
import type { Code } from './provider-process.ts'

/** Order to sign users in, each once, for some seconds. */
export interface SignInLoad {
  readonly publicPort: number
  readonly internalPort: number
  readonly seconds: number
  /** Sign-ins that begin each second; without it sixteen users sign in at once, again and again. */
  readonly perSecond?: number
  /** Number below which they go on although the seconds are over. */
  readonly atLeast?: number
}

export interface SignInResult {
  readonly signIns: number
  readonly seconds: number
  readonly failures: number
  readonly firstFailure: string
  /** Headers of the last check, with the cookie of its session. */
  readonly check: Readonly<Record<string, string>>
}

const HOST = 'app.example.com'
const AT_ONCE = 16
const agent = new Agent({ keepAlive: true })
let users = 0
let lastCheck: SignInResult['check'] = {}

/** Signs users in on request of its parent, in a process of its own. */
process.on('message', (load: SignInLoad) => {
  void run(load).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function run(load: SignInLoad): Promise<SignInResult> {
  const startedAtMs = performance.now()
  const endMs = startedAtMs + load.seconds * 1000
  const { perSecond, atLeast = 0 } = load
  let signIns = 0
  const faults: string[] = []
  const one = () =>
    signIn(load).then(
      () => void signIns++,
      (error: unknown) => void faults.push(String(error)),
    )
  if (perSecond === undefined) {
    const isDone = () => performance.now() >= endMs && signIns + faults.length >= atLeast
    const work = async () => {
      while (!isDone()) await one()
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  } else {
    await atPace({ ...load, perSecond }, one)
  }
  const seconds = (performance.now() - startedAtMs) / 1000
  return {
    signIns,
    seconds,
    failures: faults.length,
    firstFailure: faults[0] ?? '',
    check: lastCheck,
  }
}

/** Opens a page, signs in as a new user and opens the page again: two checks, the login and the callback. */
async function signIn({ publicPort, internalPort }: SignInLoad): Promise<void> {
  const user = users++
  const address = `203.0.${(user >> 8) % 256}.${user % 256}`
  const check = { ...browserHeaders, ...forwarded, 'X-Forwarded-For': address }
  const visit = { ...browserHeaders, Host: HOST, 'X-Forwarded-For': address }
  const refused = await send(internalPort, '/auth', check)
  const login = await send(publicPort, pathOf(refused), visit)
  const { searchParams } = new URL(login.headers.location ?? '')
  const code: Code = { nonce: searchParams.get('nonce') ?? '', sub: `user-${user}` }
  const answer = new URLSearchParams({
    code: Buffer.from(JSON.stringify(code)).toString('base64url'),
    state: searchParams.get('state') ?? '',
  })
  const callback = await send(publicPort, `/oauth2/callback?${answer}`, {
    ...visit,
    Cookie: cookiesOf(login),
  })
  lastCheck = { ...check, Cookie: cookiesOf(callback) }
  const { statusCode } = await send(internalPort, '/auth', lastCheck)
  if (statusCode !== 200) throw new Error(`after ${callback.statusCode} the check is ${statusCode}`)
}

const forwarded = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': HOST,
  'X-Forwarded-Uri': '/dashboard',
}

function pathOf({ headers, statusCode }: IncomingMessage): string {
  if (headers.location === undefined) throw new Error(`no redirect but ${statusCode}`)
  const { pathname, search } = new URL(headers.location)
  return pathname + search
}

function cookiesOf({ headers }: IncomingMessage): string {
  return (headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ')
}

function send(port: number, path: string, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent }, (answer) => {
      answer
        .on('error', reject)
        .on('end', () => resolve(answer))
        .resume()
    }).on('error', reject)
  })
}
