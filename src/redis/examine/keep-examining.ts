import { jitterMs } from '../../timing/backoff.ts'
import { createSingleFlight } from '../../timing/single-flight.ts'
import type { RedisConnection } from '../connection.ts'
import { type Examination, examineRedis } from './examine.ts'
import type { FindingCode } from './finding.ts'
import type { SelfTestNames } from './try-commands.ts'

export interface KeepExaminingOptions {
  readonly connection: Pick<RedisConnection, 'isConnected' | 'runAtEach'>
  readonly names: SelfTestNames
  readonly readTimeoutMs: number
  readonly now: () => number
  readonly observer: {
    readonly onExamined: (examination: Examination) => void
    /** Called when another Redis process answers, and again when its refusals change, until it refuses nothing. */
    readonly onAnotherServer: () => void
  }
}

/** Period while there are findings, because they may pass as loading does. */
const FINDINGS_PERIOD_MS = 10_000
/** Period while the last self-test failed, or another server still refuses commands. */
const URGENT_PERIOD_MS = 1500
/** Period otherwise, because settings, ACL rules and clocks change without a new connection. */
const CALM_PERIOD_MS = 60_000

/** Age below which the latest self-test is not repeated on a mere suspicion. */
const RECENT_MS = 2000

/** Self-test that is repeated. */
export interface KeptExamination {
  readonly latest: Examination | undefined
  /** Repeats it now. Never rejects. */
  refresh(): Promise<void>
  /** Repeats it unless the latest is of the last seconds. */
  suspect(): void
}

/** Repeats the self-test; `start` runs it at once, for each new connection. */
export function keepExamining(
  options: KeepExaminingOptions,
): KeptExamination & { start(): void; stop(): void } {
  const { connection, names, readTimeoutMs, now, observer } = options
  let latest: Examination | undefined
  /** Refusals of a server that has replaced another; empty once it refuses nothing. */
  let refusals = ''
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let examinedAtMs = Number.NEGATIVE_INFINITY

  async function examine(): Promise<void> {
    const examination = await examineRedis(connection, names, now, readTimeoutMs)
    if (latest !== undefined && String(examination.runIds) !== String(latest.runIds)) {
      refusals = 'unknown'
    }
    latest = examination
    examinedAtMs = performance.now()
    observer.onExamined(examination)
    if (refusals === '') return
    // Reports again after loading, because ended sessions that its snapshot lacks were refused as well (F11, F13).
    const before = refusals
    refusals = refusalsOf(examination)
    if (refusals !== before) observer.onAnotherServer()
  }

  /** Keeps the latest examination when another one fails. */
  async function keep(): Promise<void> {
    const isExamined =
      !connection.isConnected ||
      (await examine().then(
        () => true,
        () => false,
      ))
    if (isStopped) return
    clearTimeout(timer)
    timer = setTimeout(start, pauseMs(isExamined)).unref()
  }
  function pauseMs(isExamined: boolean): number {
    if (!isExamined || refusals !== '') return jitterMs(URGENT_PERIOD_MS)
    return latest?.findings.length === 0 ? jitterMs(CALM_PERIOD_MS) : FINDINGS_PERIOD_MS
  }
  const flight = createSingleFlight(keep)
  const start = () => void keep()

  return {
    start,
    refresh: flight.run,
    suspect() {
      if (performance.now() - examinedAtMs > RECENT_MS) void flight.run()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
    get latest() {
      return latest
    },
  }
}

function refusalsOf({ findings }: Examination): string {
  const refused = findings.filter(({ code }) => REFUSALS.has(code))
  return refused.map(({ message }) => message).join()
}

/** Findings about a server that refuses writes for now. */
const REFUSALS: ReadonlySet<FindingCode> = new Set([
  'busy',
  'full',
  'loading',
  'misconf',
  'refused',
  'replica',
  'replication',
])
