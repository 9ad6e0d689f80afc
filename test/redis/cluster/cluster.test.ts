import { expect, test } from 'vitest'
import { connectRedis } from '../../../src/redis/connection.ts'
import { createOpener } from '../../../src/store/redis/open-target.ts'
import { until } from '../../support/own-lag.ts'
import { speakWell, startSpokenRedis } from '../../support/spoken-redis.ts'

const HOST = '127.0.0.1'

test('C65: a primary that is back is reported by itself while another is still disconnected', async () => {
  await using gone = await startSpokenRedis()
  await using stays = await startSpokenRedis((...asked) => answer(...asked))
  await using returns = await startSpokenRedis((...asked) => answer(...asked))
  const ports = [stays, returns, gone].map(({ port }) => port)
  const slots = ports.map(
    (port, at) =>
      `*3\r\n:${at * 5000}\r\n:${at === 2 ? 16_383 : at * 5000 + 4999}\r\n*3\r\n+${HOST}\r\n:${port}\r\n+id-${port}\r\n`,
  )
  const answer: typeof speakWell = (command, connection) =>
    command[0] === 'CLUSTER' ? `*3\r\n${slots.join('')}` : speakWell(command, connection)
  await gone[Symbol.asyncDispose]()

  const reported: string[] = []
  const connection = connectRedis({
    open: createOpener({
      target: () => ({ kind: 'cluster', servers: [{ host: HOST, port: stays.port }] }),
      connectTimeoutMs: 10_000,
      onFailure: () => undefined,
    }),
    onConnected: () => reported.push('connected'),
    onPrimaryConnected: () => reported.push('server'),
    onDisconnected: () => undefined,
    onStillAway: () => undefined,
    onFailure: () => undefined,
  })
  try {
    const connected = () => connection.runAtEach(({ address }) => Promise.resolve(address), 10_000)
    await until(
      'two of three primaries',
      async () => connection.isConnected && (await connected()).length === 2,
    )
    reported.length = 0
    for (const each of returns.connections) each.end()
    await until('the primary that returns', () => reported.length > 0)
    expect([reported, connection.isPartial]).toEqual([['server'], true])
  } finally {
    await connection.close()
  }
})
