import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { findProgram, freePort, startProcess } from '../stand-ins/process.ts'
import type { RunningVestibule } from '../test/support/vestibule.ts'

const forwarded = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'app.example.com',
  'X-Forwarded-Uri': '/dashboard/items?page=2',
  'X-Forwarded-For': '203.0.113.7',
  'User-Agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36',
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language': 'en',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Site': 'same-origin',
}

/** Returns the check of a signed-in user after one trial: request headers and headers of the answer. */
export async function signedInCheck(vestibule: RunningVestibule) {
  const cookie = `${await vestibule.signIn('alice')}; theme=dark`
  return tried(vestibule, { ...forwarded, Cookie: cookie }, 'alice')
}

/** Returns the outage cookie as a browser sends it back. */
export async function outageCookie(vestibule: RunningVestibule, headers: Record<string, string>) {
  const { setCookies } = await vestibule.check({}, headers)
  const [cookie] = (setCookies[0] ?? '').split(';')
  if (!cookie?.includes('_outage=')) throw new Error('no outage assertion was given')
  return cookie
}

/** Returns the check of a program with a bearer token, after one trial. */
export async function bearerCheck(vestibule: RunningVestibule, token: string) {
  const { 'User-Agent': _, ...rest } = forwarded
  const sent = { ...rest, 'X-Forwarded-Uri': '/api/items', Authorization: `Bearer ${token}` }
  return tried(vestibule, sent, 'robot')
}

async function tried(vestibule: RunningVestibule, sent: Record<string, string>, user: string) {
  const answer = await vestibule.check({}, sent)
  if (answer.status !== 200 || answer.headers['x-auth-request-user'] !== user) {
    throw new Error(`the check does not answer as it should: ${answer.status}`)
  }
  const names = Object.keys(answer.headers).filter((name) =>
    /^x-auth-|^cookie$|^content-length$/.test(name),
  )
  const answered = Object.fromEntries(names.map((name) => [name, String(answer.headers[name])]))
  return { port: vestibule.internalPort, headers: sent, answered }
}

/** Starts a Redis for this run. */
export async function redisServer() {
  if (!findProgram('redis-server')) throw new Error('redis-server is not on PATH')
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '']
  const running = startProcess('redis-server', args)
  while (!running.output().includes('Ready to accept'))
    await new Promise((resolve) => setTimeout(resolve, 10))
  return {
    url: `redis://127.0.0.1:${port}`,
    sessionKey: randomBytes(32).toString('base64'),
    [Symbol.asyncDispose]: async () => void (await running.stop('SIGKILL')),
  }
}

/** Resolves with the bytes that the only session takes by Redis's count, including its share of the indexes. */
export async function sessionKeys({ url }: { readonly url: string }) {
  const client = createClient({ url })
  await client.connect()
  const keys = await client.keys('vestibule:*')
  const sizes = new Map<string, number>()
  for (const key of keys) sizes.set(key, (await client.memoryUsage(key)) ?? 0)
  client.destroy()
  const sum = (pattern: RegExp) =>
    [...sizes].reduce((bytes, [key, size]) => (pattern.test(key) ? bytes + size : bytes), 0)
  return {
    identityKey: keys.find((key) => key.endsWith(':s')) ?? '',
    sessionBytes: sum(/:[sm]$|:[up]:\{/),
    tokenBytes: sum(/:t$/),
  }
}

/** Starts the bare server as a process. */
export async function bareServer(
  headers: Readonly<Record<string, string>>,
  ...redis: readonly string[]
) {
  const running = startProcess(process.execPath, [
    'bench/bare-server.ts',
    JSON.stringify(headers),
    ...redis,
  ])
  for (let tries = 0; tries < 500; tries++) {
    const port = /"internal_port":(\d+)/.exec(running.output())?.[1]
    const stop = async () => void (await running.stop('SIGKILL'))
    if (port !== undefined) return { port: Number(port), [Symbol.asyncDispose]: stop }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`the bare server did not start:\n${running.output()}`)
}
