/** When this process was kept waiting, and for how long: others share the machine, and its replicas wait as well. */
export type LagLog = ReturnType<typeof startLagLog>

const STEP_MS = 20
const TOLERANCE_MS = 10
const KEPT_SAMPLES = 20_000

type OnLate = (lateMs: number) => void

export function startLagLog(onLate: OnLate) {
  let samples: { readonly atMs: number; readonly togetherMs: number }[] = []
  let togetherMs = 0
  let lastMs = performance.now()
  const note = (): void => {
    const nowMs = performance.now()
    const lateMs = nowMs - lastMs - STEP_MS
    lastMs = nowMs
    if (lateMs < TOLERANCE_MS) return
    togetherMs += lateMs
    samples.push({ atMs: nowMs, togetherMs })
    if (samples.length > KEPT_SAMPLES) samples = samples.slice(KEPT_SAMPLES / 2)
    onLate(lateMs)
  }
  const timer = setInterval(note, STEP_MS)
  return {
    // Asked for every check and every fault that there was, so it halves what is left.
    since: (sinceMs: number) => {
      let [from, to] = [0, samples.length]
      while (from < to) {
        const middle = (from + to) >> 1
        if ((samples[middle]?.atMs ?? 0) <= sinceMs) from = middle + 1
        else to = middle
      }
      return togetherMs - (samples[from - 1]?.togetherMs ?? 0)
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
