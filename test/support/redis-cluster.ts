import { SLOT_COUNT } from '../../src/redis/cluster/key-slot.ts'
import type { ClusterTarget } from '../../src/redis/target.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { until } from './own-lag.ts'
import { type RedisOptions, type RunningRedis, startRedis } from './redis.ts'

export interface RedisClusterOptions extends Pick<RedisOptions, 'users' | 'password' | 'args'> {
  readonly shards: number
  readonly replicasPerShard?: 0 | 1
}

export type RunningCluster = Awaited<ReturnType<typeof startCluster>>

/** Time without an answer after which a primary is replaced. */
export const NODE_TIMEOUT_MS = 1000

export async function startCluster(options: RedisClusterOptions) {
  await using started = new AsyncDisposableStack()
  const { shards, replicasPerShard = 0 } = options
  const start = async () => {
    const busPort = await steadyPort()
    const server = await startRedis({
      ...options,
      port: await steadyPort(),
      args: [
        ...`--cluster-enabled yes --cluster-node-timeout ${NODE_TIMEOUT_MS}`.split(' '),
        ...`--cluster-port ${busPort} --repl-diskless-sync-delay 0`.split(' '),
        // Pings replicas each second, because CLUSTER SLOTS leaves out those that nothing was sent to.
        ...'--repl-ping-replica-period 1'.split(' '),
        // Lets servers answer for their slots while others are not served.
        ...'--cluster-require-full-coverage no'.split(' '),
        ...(options.password === undefined ? [] : ['--masterauth', options.password]),
        ...(options.args ?? []),
      ],
    })
    return { server: started.use(server), busPort, id: await server.cli('CLUSTER', 'MYID') }
  }
  const startMany = (count: number) => Promise.all(Array.from({ length: count }, start))
  const primaries = await startMany(shards)
  const replicas = await startMany(shards * replicasPerShard)
  const all = [...primaries, ...replicas]
  const [first] = primaries as [(typeof all)[0]]

  for (const [index, { server }] of all.entries()) {
    await server.cli('CLUSTER', 'SET-CONFIG-EPOCH', `${index + 1}`)
  }
  const slotsOf = (index: number): [from: string, to: string] => {
    const at = (shard: number) => Math.floor((SLOT_COUNT * shard) / shards)
    return [`${at(index)}`, `${at(index + 1) - 1}`]
  }
  for (const [index, { server }] of primaries.entries()) {
    await server.cli('CLUSTER', 'ADDSLOTSRANGE', ...slotsOf(index))
  }
  for (const { server, busPort } of all.slice(1)) {
    await first.server.cli('CLUSTER', 'MEET', server.host, `${server.port}`, `${busPort}`)
  }
  const knows = async (server: RunningRedis, what: RegExp) =>
    what.test(await server.cli('CLUSTER', 'INFO'))
  const everywhere = async (what: RegExp) =>
    (await Promise.all(all.map(({ server }) => knows(server, what)))).every(Boolean)
  await until('servers that know each other', () =>
    everywhere(new RegExp(`cluster_known_nodes:${all.length}\r`)),
  )
  for (const [index, { server }] of replicas.entries()) {
    const id = primaries[index]?.id as string
    await until('a primary that is known', async () =>
      (await server.cli('CLUSTER', 'NODES')).includes(id),
    )
    await server.cli('CLUSTER', 'REPLICATE', id)
  }
  await until('a cluster that can be used', () => everywhere(/cluster_state:ok/))
  for (const { server } of replicas) {
    await until('a copy', async () =>
      (await server.cli('INFO', 'replication')).includes('master_link_status:up'),
    )
  }
  await until('replicas that their primaries know', async () => {
    const slots = await Promise.all(primaries.map(({ server }) => server.cli('CLUSTER', 'SLOTS')))
    return slots.every((known) => all.every(({ id }) => known.includes(id)))
  })
  const idOf = (server: RunningRedis) => all.find((one) => one.server === server)?.id as string
  const kept = started.move()
  return {
    /** Primary of each shard at the start, in the order of their slots. */
    primaries: primaries.map(({ server }) => server),
    replicas: replicas.map(({ server }) => server),
    target: {
      kind: 'cluster',
      servers: primaries.map(({ server: { host, port } }) => ({ host, port })),
      ...(options.password !== undefined && { password: options.password }),
    } satisfies ClusterTarget as ClusterTarget,
    /** Moves a slot with its keys; `half` leaves it during its migration, with all keys at the source. */
    moveSlot: async (slot: number, from: RunningRedis, to: RunningRedis, how?: 'half') => {
      const set = ['CLUSTER', 'SETSLOT', `${slot}`]
      await to.cli(...set, 'IMPORTING', idOf(from))
      await from.cli(...set, 'MIGRATING', idOf(to))
      if (how === 'half') return
      const keys = (await from.cli('CLUSTER', 'GETKEYSINSLOT', `${slot}`, '1000')).split('\n')
      for (const key of keys.filter((name) => name !== '')) {
        await from.cli('MIGRATE', to.host, `${to.port}`, key, '0', '1000')
      }
      for (const server of [to, from]) await server.cli(...set, 'NODE', idOf(to))
    },
    /** Removes an empty primary from the cluster, which stays up; its slots go to `heir`. */
    takeOut: async (leaving: RunningRedis, heir: RunningRedis) => {
      const id = idOf(leaving)
      const index = primaries.findIndex(({ server }) => server === leaving)
      await leaving.cli('CLUSTER', 'RESET', 'HARD')
      for (const { server } of all.filter((one) => one.server !== leaving)) {
        await server.cli('CLUSTER', 'FORGET', id)
      }
      await heir.cli('CLUSTER', 'ADDSLOTSRANGE', ...slotsOf(index))
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
