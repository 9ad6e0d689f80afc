import type { SentinelTarget } from '../../src/redis/target.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { until } from './own-lag.ts'
import { type RedisOptions, type RunningRedis, startRedis } from './redis.ts'

export interface WatchedRedisOptions extends Pick<RedisOptions, 'tls'> {
  readonly sentinelPassword?: string
}

/** Primary with two replicas, monitored by three Sentinels. */
export type WatchedRedis = Awaited<ReturnType<typeof startWatchedRedis>>

export const PRIMARY_NAME = 'the-primary'
/** Time after which Sentinels consider a server down. */
export const DOWN_AFTER_MS = 1000

/** User of Sentinels and replicas at the servers. */
const PEER = { name: 'peer', password: 'of-the-peers' }
const PEER_LINE = `user ${PEER.name} on >${PEER.password} ~* &* +@all`
const PASSWORD = 'of-the-servers'

export async function startWatchedRedis(options: WatchedRedisOptions = {}) {
  await using started = new AsyncDisposableStack()
  const { tls } = options
  const startServer = async (primary?: RunningRedis) => {
    const port = await steadyPort()
    const server = await startRedis({
      port,
      password: PASSWORD,
      tls,
      users: [PEER_LINE],
      args: [
        ...`--masteruser ${PEER.name} --masterauth ${PEER.password}`.split(' '),
        ...`--repl-diskless-sync-delay 0 --tls-replication ${tls ? 'yes' : 'no'}`.split(' '),
        ...(primary ? ['--replicaof', primary.host, `${primary.port}`] : []),
      ],
    })
    return started.use(server)
  }
  const primary = await startServer()
  const servers = [primary, await startServer(primary), await startServer(primary)] as const
  await until('replicas', async () =>
    (await primary.cli('INFO', 'replication')).includes('slave1:ip=127.0.0.1'),
  )
  await until('copies', async () => {
    const states = await primary.cli('INFO', 'replication')
    return (states.match(/state=online/g) ?? []).length === 2
  })
  const startSentinel = async () =>
    started.use(await startRedis(await sentinelOf(primary, options)))
  const sentinels = await Promise.all([startSentinel(), startSentinel(), startSentinel()])
  await until('Sentinels that know each other', () => doKnowAll(sentinels))
  // One that was kept waiting for two seconds would do nothing for the next thirty.
  await Promise.all(sentinels.map(({ cli }) => cli('SENTINEL', 'DEBUG', 'tilt-trigger', '60000')))
  const kept = started.move()
  return {
    /** Redis servers, of which the first is the primary at the start. */
    servers,
    sentinels,
    /** Returns the port of the primary that most Sentinels report. */
    primaryPort: async () => {
      const address = await sentinels[0].cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', PRIMARY_NAME)
      return Number(address.split('\n')[1])
    },
    /** Cuts a server off from Sentinels and replicas, while it answers all other clients. */
    isolate: async (server: RunningRedis) => {
      await server.cli('ACL', 'SETUSER', PEER.name, 'off')
      await server.cli('CLIENT', 'KILL', 'USER', PEER.name)
    },
    target: {
      kind: 'sentinel',
      sentinels: sentinels.map(({ host, port }) => ({ host, port })),
      primaryName: PRIMARY_NAME,
      database: 0,
      password: PASSWORD,
      ...(options.sentinelPassword !== undefined && { sentinelPassword: options.sentinelPassword }),
    } satisfies SentinelTarget as Omit<SentinelTarget, 'tls'>,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

const sentinelOf = async (
  primary: RunningRedis,
  { sentinelPassword, tls }: WatchedRedisOptions,
): Promise<RedisOptions> => ({
  port: await steadyPort(),
  password: sentinelPassword,
  tls,
  lines: [
    `sentinel monitor ${PRIMARY_NAME} ${primary.host} ${primary.port} 2`,
    `sentinel down-after-milliseconds ${PRIMARY_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${PRIMARY_NAME} 3000`,
    `sentinel parallel-syncs ${PRIMARY_NAME} 2`,
    `sentinel auth-user ${PRIMARY_NAME} ${PEER.name}`,
    `sentinel auth-pass ${PRIMARY_NAME} ${PEER.password}`,
    ...(sentinelPassword === undefined ? [] : [`sentinel sentinel-pass ${sentinelPassword}`]),
    ...(tls ? ['tls-replication yes'] : []),
  ],
  args: ['--sentinel'],
})

async function doKnowAll(sentinels: readonly RunningRedis[]): Promise<boolean> {
  const views = await Promise.all(
    sentinels.map(({ cli }) => cli('INFO', 'sentinel').catch(() => '')),
  )
  return views.every((view) => /status=ok.*slaves=2,sentinels=3/.test(view))
}
