/** When this process was kept waiting, and for how long: others share the machine, and its replicas wait as well. */
export interface LagLog extends Disposable {
  /** All of it since then. */
  readonly since: (sinceMs: number) => number
}

const STEP_MS = 20
const TOLERANCE_MS = 10
const KEPT_MS = 120_000

/** Called for each delay. */
type OnLate = (lateMs: number) => void

export const startLagLog = (onLate: OnLate): LagLog => {
  let samples: { readonly atMs: number; readonly lateMs: number }[] = []
  let lastMs = performance.now()
  const note = (): void => {
    const nowMs = performance.now()
    const lateMs = nowMs - lastMs - STEP_MS
    lastMs = nowMs
    if (lateMs < TOLERANCE_MS) return
    samples.push({ atMs: nowMs, lateMs })
    onLate(lateMs)
    if (samples.length > 10_000) samples = samples.filter(({ atMs }) => nowMs - atMs < KEPT_MS)
  }
  const timer = setInterval(note, STEP_MS)
  return {
    since: (sinceMs) => {
      note()
      return samples
        .filter(({ atMs }) => atMs > sinceMs)
        .reduce((sum, { lateMs }) => sum + lateMs, 0)
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
