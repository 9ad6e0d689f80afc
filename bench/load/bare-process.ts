import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { createClient, RESP_TYPES } from 'redis'

/**
 * Serves the least that a Hono service can: the headers in the first argument, as JSON, on every request. With a
 * Redis URL and a key as further arguments, one raw `GET` precedes each answer.
 */
const [, , headersJson = '{}', redisUrl, key] = process.argv
const headers = JSON.parse(headersJson) as Record<string, string>

const app = new Hono()
if (redisUrl === undefined || key === undefined) {
  app.all('/auth', () => new Response(null, { status: 200, headers }))
} else {
  const client = createClient({ url: redisUrl, commandOptions: { timeout: 0 } })
  await client.connect()
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  app.all('/auth', async () => {
    const value = await binary.get(key)
    return new Response(null, { status: value === null ? 500 : 200, headers })
  })
}
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ event: 'listening', internal_port: port })}\n`)
})
