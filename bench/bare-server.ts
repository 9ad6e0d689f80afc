import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { collectDefaultMetrics, Registry } from 'prom-client'

/** The least a Hono service can do: the headers given as JSON in the first argument, on every request. */
const headers = JSON.parse(process.argv[2] ?? '{}') as Record<string, string>
const registry = new Registry()
collectDefaultMetrics({ register: registry, prefix: 'vestibule_' })

const app = new Hono()
app.all('/auth', () => new Response(null, { status: 200, headers }))
app.get('/metrics', async () => new Response(await registry.metrics()))
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ event: 'listening', internal_port: port })}\n`)
})
