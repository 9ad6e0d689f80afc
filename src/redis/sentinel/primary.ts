import { setTimeout as pause } from 'node:timers/promises'
import { ErrorReply } from 'redis'
import {
  type Access,
  addressOf,
  answerOf,
  type ClientConnection,
  openClient,
  type RedisClient,
  type SentinelTarget,
  type ServerAddress,
} from '../client.ts'
import { failureOf, TopologyError } from '../failure.ts'
import { createLifetime, type Lifetime } from '../lifetime.ts'
import type { SentinelSightings } from './sightings.ts'

/** Where a Sentinel believes the primary to be; of several beliefs the one of the highest epoch is the latest. */
interface Belief extends ServerAddress {
  readonly epoch: number
}

interface Sighting extends Belief {
  /** True when every Sentinel has answered, so that none can know of a later primary. */
  readonly isOfAll: boolean
}

export interface PrimaryOptions {
  /** Asked for every connection, to Sentinels too. */
  readonly target: () => SentinelTarget
  readonly sightings: SentinelSightings
  readonly connectTimeoutMs: number
}

type Sentinels = readonly (() => Promise<Belief>)[]

const SENTINEL_TIMEOUT_MS = 500
/** How long the first Sentinel's answer waits for those of the others. */
const OTHERS_MS = 100
const WATCH_MS = 500

/**
 * Connects to the primary that the Sentinels name, and watches them until the connection is over: when they name another
 * one, it is dropped at once, also while it is being made, and whether or not the old primary answers (faults F15, F17).
 */
export async function openPrimary(
  { target, sightings, connectTimeoutMs }: PrimaryOptions,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const life = createLifetime(signal)
  const sentinels = target().sentinels.map((address) => keepAsking(target, address, life.signal))
  try {
    const found = await findPrimary(sentinels, sightings.epoch)
    sightings.see(found)
    const { host, port } = found
    void watch(sentinels, found, life, sightings)
    const opened = await openClient({ ...target(), host, port }, connectTimeoutMs, life.signal)
    opened.lost.catch(life.end)
    await checkRole(opened, connectTimeoutMs)
    return opened
  } catch (cause) {
    life.end(cause)
    throw cause
  }
}

/**
 * Asks all Sentinels at once, so that a silent or outdated one does not matter. Waits for all answers while those so
 * far are older than the known epoch, because a quick but outdated one would be followed otherwise (F17).
 */
async function findPrimary(sentinels: Sentinels, knownEpoch: number): Promise<Sighting> {
  const beliefs: Belief[] = []
  const answers = sentinels.map((ask) => ask().then((belief) => beliefs.push(belief)))
  const all = Promise.allSettled(answers)
  await Promise.race([
    all,
    Promise.any(answers).then(
      () => pause(OTHERS_MS),
      () => all,
    ),
  ])
  if (beliefs.every(({ epoch }) => epoch < knownEpoch)) await all
  const [latest] = beliefs.toSorted((one, other) => other.epoch - one.epoch)
  if (latest) return { ...latest, isOfAll: beliefs.length === sentinels.length }
  const causes = (await all).map((answer): unknown => 'reason' in answer && answer.reason)
  throw causes.find((cause) => cause instanceof TopologyError) ?? causes[0]
}

async function watch(
  sentinels: Sentinels,
  known: Belief,
  life: Lifetime,
  sightings: SentinelSightings,
): Promise<void> {
  while (!life.isOver) {
    await pause(WATCH_MS * (0.75 + Math.random() / 2), undefined, { ref: false })
    const found = await findPrimary(sentinels, known.epoch).catch((cause: unknown) => {
      if (!life.isOver) sightings.lose(cause)
    })
    // Sentinels that are away are no reason to leave a primary that is there.
    if (!found) continue
    sightings.see(found)
    if (addressOf(found) === addressOf(known)) continue
    // An outdated Sentinel may be the only one to answer in time; epochs fall only where all Sentinels were set up
    // anew.
    if (found.epoch < known.epoch && !found.isOfAll) continue
    const text = `the Sentinels name another primary: ${addressOf(found)}`
    life.end(new TopologyError('connection', text))
  }
}

/** Asks one Sentinel over a connection that is kept for the next time. */
function keepAsking(
  target: () => SentinelTarget,
  address: ServerAddress,
  signal: AbortSignal,
): () => Promise<Belief> {
  const { primaryName } = target()
  const open = () =>
    openClient({ ...address, ...accessOf(target()), database: 0 }, SENTINEL_TIMEOUT_MS, signal)
  let current: ClientConnection | undefined
  let answer: Promise<Belief> | undefined
  const ask = async () => {
    if (!current || current.isOver) current = await open()
    return answerOf(current, SENTINEL_TIMEOUT_MS, (client) => askBelief(client, primaryName))
  }
  return () => {
    answer ??= ask()
      .catch((cause: unknown) => {
        throw explain(cause, primaryName)
      })
      .finally(() => {
        answer = undefined
      })
    return answer
  }
}

/** How the Sentinels themselves let us in. */
function accessOf({ sentinelUsername, sentinelPassword, tls }: SentinelTarget): Access {
  return {
    ...(tls && { tls }),
    ...(sentinelUsername !== undefined && { username: sentinelUsername }),
    ...(sentinelPassword !== undefined && { password: sentinelPassword }),
  }
}

/** In two commands: while a failover goes on, what one of them says of the address is behind. */
async function askBelief(client: RedisClient, primaryName: string): Promise<Belief> {
  const [state, address] = await Promise.all([
    client.sendCommand(['SENTINEL', 'MASTER', primaryName]),
    client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', primaryName]),
  ])
  const { 'config-epoch': epoch } = state as unknown as Record<string, string>
  const [host, port] = address as unknown as readonly [string, string]
  return { host, port: Number(port), epoch: Number(epoch) }
}

/** What a Sentinel refuses is a matter of settings; what else goes wrong is as with any server. */
function explain(cause: unknown, primaryName: string): unknown {
  if (!(cause instanceof ErrorReply)) return cause
  const text = cause.message
  if (text.startsWith('ERR No such master')) {
    const remedy = `the Sentinels watch no primary called ${primaryName}: correct REDIS_SENTINEL_MASTER`
    return new TopologyError('sentinel', remedy, cause)
  }
  if (text.startsWith('ERR unknown command')) {
    const remedy =
      'REDIS_SENTINEL_ADDRESSES leads to a server that is no Sentinel: name the Sentinels, or put the server into REDIS_ADDRESS instead'
    return new TopologyError('sentinel', remedy, cause)
  }
  const remedy = `a Sentinel refuses to be asked (${failureOf(cause)}): check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD; its user needs +sentinel|master and +sentinel|get-master-addr-by-name`
  return new TopologyError(failureOf(cause), remedy, cause)
}

/** Right after a failover Sentinels may name a server that does not know of it yet. */
async function checkRole(opened: ClientConnection, timeoutMs: number): Promise<void> {
  const info = await answerOf(opened, timeoutMs, (client) => client.info('replication'))
  if (/^role:master\r?$/m.test(info)) return
  throw new TopologyError('readonly', 'the server that the Sentinels name is no primary')
}
