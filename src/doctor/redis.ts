import { pino } from 'pino'
import { createTarget } from '../compose/redis-target.ts'
import type { RedisConfig } from '../config/redis/redis.ts'
import { connectRedis, type RedisConnection } from '../redis/connection.ts'
import { examineRedis } from '../redis/examine/examine.ts'
import { codeOfLoss, type FindingCode as RedisCode } from '../redis/examine/finding.ts'
import { failureOf } from '../redis/failure.ts'
import { namesIn } from '../store/redis/names.ts'
import { createOpener } from '../store/redis/open-target.ts'
import { waitAtMost } from '../timing/time-limit.ts'
import type { Patient } from './examination.ts'
import { type Finding, type FindingCode, finding } from './finding.ts'
import { isOlder } from './version-order.ts'

/** Runs the self-test of the service once, which uses keys of its own and deletes them. */
export async function examineRedisServer({ config }: Patient): Promise<readonly Finding[]> {
  const { redis, settings } = config
  if (!redis) return []
  const connection = connect(redis, settings.REDIS_CONNECT_TIMEOUT.ms)
  try {
    await waitAtMost(connection.firstAttempt, 2 * settings.REDIS_CONNECT_TIMEOUT.ms)
    if (!connection.isConnected) return [lossOf(connection)]
    const names = namesIn(settings.REDIS_KEY_PREFIX, redis.database)
    const { findings } = await examineRedis(connection, names, Date.now, SELF_TEST_TIMEOUT_MS)
    return [
      ...findings.map(({ code, message }) =>
        finding(CODES[code], `${message}.`, remedyIn(message)),
      ),
      ...(await examineVersion(connection)),
    ]
  } catch (cause) {
    return [finding('redis_unreachable', `Redis gave no usable answer: ${failureOf(cause)}.`)]
  } finally {
    await connection.close()
  }
}

const SELF_TEST_TIMEOUT_MS = 5000

const CODES: Readonly<Record<RedisCode, FindingCode>> = {
  busy: 'redis_state',
  clock: 'redis_clock',
  cluster: 'redis_cluster',
  eviction: 'redis_eviction',
  full: 'redis_full',
  loading: 'redis_state',
  misconf: 'redis_state',
  refused: 'redis_state',
  replica: 'redis_replica',
  replication: 'redis_state',
  rights: 'redis_rights',
  sentinel: 'redis_sentinel',
  unsupported: 'redis_state',
  version: 'redis_version',
}

/** Returns the right that a message of the self-test names; undefined for any other message. */
function remedyIn(message: string): string | undefined {
  const right = /lacks (\S+)/.exec(message)?.[1]
  return right && `Give the user of REDIS_USERNAME the right: ACL SETUSER <user> ${right}`
}

function connect(redis: RedisConfig, connectTimeoutMs: number): RedisConnection {
  const ignore = () => undefined
  const observer = { onFailure: ignore, onSentinelsAway: ignore, onSentinelsBack: ignore }
  const target = createTarget(redis, pino({ enabled: false }))
  return connectRedis({
    open: createOpener({ ...observer, target, connectTimeoutMs }),
    onConnected: ignore,
    onDisconnected: ignore,
    onStillAway: ignore,
    onFailure: ignore,
  })
}

const OF_LOSS: Readonly<Record<string, FindingCode>> = { auth: 'redis_auth', tls: 'redis_tls' }

function lossOf({ loss }: RedisConnection): Finding {
  if (!loss) return finding('redis_unreachable', 'Redis did not answer in time.')
  const code = codeOfLoss(loss.failure)
  const known = code === undefined ? OF_LOSS[loss.failure] : CODES[code]
  return finding(known ?? 'redis_unreachable', `${loss.reason}.`)
}

/** First release of each line that upstream mends with a fix for CVE-2025-49844, which gives users of Lua the server. */
const MENDED: Readonly<Record<string, string>> = {
  '7.2': '7.2.11',
  '7.4': '7.4.6',
  '8.0': '8.0.4',
  '8.2': '8.2.2',
}

/** Leaves out other servers and services of clouds, whose version says nothing about their fixes. */
async function examineVersion(connection: RedisConnection): Promise<readonly Finding[]> {
  const [info = ''] = await connection
    .runAtEach(({ run }) => run((client) => client.info('server')), SELF_TEST_TIMEOUT_MS)
    .catch(() => [''])
  const [, version = '', line = ''] = /^redis_version:((\d+\.\d+)\.\d+)/m.exec(info) ?? []
  const isOther = /^(?:valkey|dragonfly|garnet|rlec)_version:|^server_name:valkey|^os:Amazon/m.test(
    info,
  )
  const mended = MENDED[line]
  if (isOther || mended === undefined || !isOlder(version, mended)) return []
  const seen = `Redis ${version} has CVE-2025-49844, which ${mended} mends.`
  return [finding('redis_version', seen)]
}
