const STEP_MS = 10
/** Timers are a little late in the best of times. */
const TOLERANCE_MS = 5

/** How long this process itself was kept waiting meanwhile: others share the machine. */
export const watchOwnLag = (): { readonly end: () => number } => {
  let lastMs = performance.now()
  let lagMs = 0
  const note = (): void => {
    const lateMs = performance.now() - lastMs - STEP_MS
    if (lateMs > TOLERANCE_MS) lagMs += lateMs
    lastMs = performance.now()
  }
  const timer = setInterval(note, STEP_MS)
  return {
    end: () => {
      note()
      clearInterval(timer)
      return lagMs
    },
  }
}
