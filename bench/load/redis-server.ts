import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { createClient } from 'redis'
import { findProgram, freePort, startProcess } from '../../stand-ins/process.ts'

/** Starts a Redis for this run. */
export async function redisServer() {
  if (!findProgram('redis-server')) throw new Error('redis-server is not on PATH')
  const port = await freePort()
  const options = `--port ${port} --bind 127.0.0.1 --enable-debug-command yes --save`
  const running = startProcess('redis-server', [...options.split(' '), ''])
  while (!running.output().includes('Ready to accept')) await wait(10)
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: running.child.pid ?? 0,
    sessionKey: randomBytes(32).toString('base64'),
    [Symbol.asyncDispose]: async () => void (await running.stop('SIGKILL')),
  }
}

/** Resolves with the bytes that the only session takes by Redis's count, including its share of the indexes. */
export async function sessionKeys(url: string) {
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
