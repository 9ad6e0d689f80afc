import type { RedisConnection } from '../connection.ts'
import { type Examination, examineRedis } from './examine.ts'
import type { TriedNames } from './try-commands.ts'

export interface KeepExaminingOptions {
  readonly connection: RedisConnection
  readonly names: TriedNames
  readonly readTimeoutMs: number
  readonly now: () => number
  readonly observer: {
    readonly onExamined: (examination: Examination) => void
    /** Called once for a process other than the last, and again when what it refuses changes, until it refuses nothing. */
    readonly onAnotherServer: () => void
  }
}

/** While something is found: what is wrong may pass, as loading does. */
const SOON_MS = 10_000
/** While another server is not known to take what it has to be told. */
const AT_ONCE_MS = 1500
/** Settings, rights and clocks change without a new connection, and some twenty small commands cost Redis nothing. */
const LATER_MS = 60_000

/** For every new connection, and then again and again. */
export function keepExamining(options: KeepExaminingOptions) {
  const { connection, names, readTimeoutMs, now, observer } = options
  let latest: Examination | undefined
  /** By a server that is another than before; empty where nothing has to be told any more. */
  let refused = ''
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  async function examine(): Promise<void> {
    const made = await examineRedis(connection, names, now, readTimeoutMs)
    if (latest !== undefined && String(made.runIds) !== String(latest.runIds)) refused = 'unknown'
    latest = made
    observer.onExamined(made)
    if (refused === '') return
    // While it loads, the ends that its snapshot lacks are refused as well (faults F11, F13).
    const refuses = refusalsOf(made)
    const isToBeTold = refuses !== refused
    refused = refuses
    if (isToBeTold) observer.onAnotherServer()
  }

  /** What cannot be examined leaves what was found before. */
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
    if (!isExamined || refused !== '') return jitter(AT_ONCE_MS)
    return latest?.findings.length === 0 ? jitter(LATER_MS) : SOON_MS
  }
  const start = () => void keep()

  return {
    start,
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
  const refusals = findings.filter(({ code }) => code === 'refused' || code === 'replica')
  return refusals.map(({ message }) => message).join()
}

/** So that replicas that connected together do not ask together. */
function jitter(ms: number): number {
  return ms * (0.75 + Math.random() / 2)
}
