import { setTimeout as pause } from 'node:timers/promises'
import { jitterMs } from '../../timing/backoff.ts'
import { waitAtMost } from '../../timing/time-limit.ts'
import { type ClientConnection, openClient, runOrDrop } from '../client.ts'
import { describeFailure } from '../describe-failure.ts'
import { TopologyError } from '../failure.ts'
import { createLifetime, type Lifetime } from '../lifetime.ts'
import { addressOf, type SentinelTarget } from '../target.ts'
import { type AskSentinel, createSentinelAsker, type ReportedPrimary } from './ask-sentinel.ts'
import type { SentinelState } from './sentinel-state.ts'

export interface PrimaryOptions {
  /** Called for each connection, to Sentinels too. */
  readonly target: () => SentinelTarget
  readonly sentinelState: SentinelState
  readonly connectTimeoutMs: number
}

interface FoundPrimary extends ReportedPrimary {
  /** True when each Sentinel has answered, so that none can know a later primary. */
  readonly isFromAll: boolean
}

/** Time that the other Sentinels have after the first answer. */
const OTHERS_MS = 100
const WATCH_PERIOD_MS = 500

/**
 * Connects to the primary that the Sentinels report, and drops the connection at once when they report another, whether
 * or not it is open yet and the old primary still answers (faults F15, F17).
 */
export async function openPrimary(
  { target, sentinelState, connectTimeoutMs }: PrimaryOptions,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const lifetime = createLifetime(signal)
  const sentinels = target().sentinels.map((address) =>
    createSentinelAsker(target, address, lifetime.signal),
  )
  try {
    const found = await findPrimary(sentinels, sentinelState.latestEpoch)
    sentinelState.onAnswered(found)
    const { host, port } = found
    void watch(sentinels, found, lifetime, sentinelState)
    const server = { ...target(), host, port, namedBy: 'the address that the Sentinels report' }
    const opened = await openClient(server, connectTimeoutMs, lifetime.signal)
    opened.lost.catch(lifetime.end)
    await checkRole(opened, connectTimeoutMs)
    return opened
  } catch (cause) {
    lifetime.end(cause)
    throw cause
  }
}

/**
 * Asks all Sentinels at once, so that a silent or outdated one does not matter. Waits for all answers while those so
 * far are older than the known epoch, because a quick but outdated one would be followed otherwise (F17).
 */
async function findPrimary(
  sentinels: readonly AskSentinel[],
  knownEpoch: number,
): Promise<FoundPrimary> {
  const reports: ReportedPrimary[] = []
  const answers = sentinels.map((ask) => ask().then((report) => reports.push(report)))
  const all = Promise.allSettled(answers)
  await Promise.any(answers).catch(() => undefined)
  await waitAtMost(all, OTHERS_MS)
  if (reports.every(({ epoch }) => epoch < knownEpoch)) await all
  const [latest] = reports.toSorted((one, other) => other.epoch - one.epoch)
  if (latest) return { ...latest, isFromAll: reports.length === sentinels.length }
  const causes = (await all).map((answer): unknown => 'reason' in answer && answer.reason)
  throw causes.find((cause) => cause instanceof TopologyError) ?? sentinelFailure(causes[0])
}

/** Tells Sentinels from Redis where neither answers. */
function sentinelFailure(cause: unknown): TopologyError {
  const { failure, reason } = describeFailure(cause)
  return new TopologyError(failure, `no Sentinel can be asked: ${reason}`, cause)
}

async function watch(
  sentinels: readonly AskSentinel[],
  known: ReportedPrimary,
  lifetime: Lifetime,
  sentinelState: SentinelState,
): Promise<void> {
  while (!lifetime.hasEnded) {
    await pause(jitterMs(WATCH_PERIOD_MS), undefined, { ref: false })
    const found = await findPrimary(sentinels, known.epoch).catch((cause: unknown) => {
      if (!lifetime.hasEnded) sentinelState.onUnanswered(cause)
    })
    // Keeps the connection while no Sentinel answers, because the primary itself still does.
    if (!found) continue
    sentinelState.onAnswered(found)
    if (addressOf(found) === addressOf(known)) continue
    // Ignores an older epoch unless all Sentinels report it, because an outdated one may be the only one to answer in
    // time; epochs fall only where all Sentinels were set up anew.
    if (found.epoch < known.epoch && !found.isFromAll) continue
    const text = `the Sentinels report another primary: ${addressOf(found)}`
    lifetime.end(new TopologyError('connection', text))
  }
}

/** Throws when the server is not a primary, because right after a failover Sentinels may report it too early. */
async function checkRole(opened: ClientConnection, timeoutMs: number): Promise<void> {
  const info = await runOrDrop(opened, timeoutMs, (client) => client.info('replication'))
  if (/^role:master\r?$/m.test(info)) return
  throw new TopologyError('readonly', 'the server that the Sentinels report is not a primary')
}
