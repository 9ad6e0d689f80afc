import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextRound } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { StreamOutput } from '../../src/events/stream.ts'
import type { NodeEnv } from '../../src/http/request.ts'
import { createEvents, type EventsOptions } from '../../src/routes/events/events.ts'
import { sitesOf } from '../support/protected-sites.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (how: { type: 'major'; execution: 'sync' }) => void

test('an open stream keeps nothing of the claims of its session in memory', async () => {
  const kept: { claims?: WeakRef<object>; output?: StreamOutput } = {}
  const options: Partial<EventsOptions> = {
    cookies: {
      readSession: () => ({ id: 'a'.repeat(22), secret: 'b'.repeat(22) }),
      readOutage: () => undefined,
    } as Partial<EventsOptions['cookies']> as EventsOptions['cookies'],
    protectedSites: sitesOf('app.example.com'),
    sessions: {
      async find() {
        const claims = { department: 'x' }
        kept.claims = new WeakRef(claims)
        const identity = { issuer: 'https://id.example', subject: 'alice', groups: [], claims }
        const session = { identity, createdAt: 1, expiresAt: 2 }
        return { source: 'assertion', session }
      },
      endReasonOf: async () => undefined,
      revocations: {} as EventsOptions['sessions']['revocations'],
    },
    realmOf: (host) => host,
    streams: {
      open({ output }) {
        kept.output = output
        output.write(new TextEncoder().encode('retry: 1\n\n'))
        return true
      },
      forget: () => undefined,
    },
  }
  const { events } = createEvents(options as EventsOptions)
  const app = new Hono<NodeEnv>()
  app.use(async (c, next) => {
    c.set(
      'site',
      sitesOf('app.example.com').find('app.example.com') as NodeEnv['Variables']['site'],
    )
    await next()
  })
  app.get('/', events)
  const answerRequest = getRequestListener(app.fetch, { autoCleanupIncoming: false })
  const server = createServer((incoming, outgoing) => void answerRequest(incoming, outgoing))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const asking = request({ port, host: '127.0.0.1', agent: false }).end()
  const [message] = (await once(asking, 'response')) as [IncomingMessage]
  const [first] = (await once(message, 'data')) as [Buffer]
  for (let round = 0; round < 10; round++) {
    await nextRound()
    collect({ type: 'major', execution: 'sync' })
  }
  expect([`${first}`, kept.claims?.deref()]).toEqual(['retry: 1\n\n', undefined])
  kept.output?.end()
  await once(message, 'close')
  server.close()
})
