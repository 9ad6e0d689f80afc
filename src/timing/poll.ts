/** Calls a function again and again without keeping the process alive; returns a function that stops it. */
export function poll(intervalMs: number, act: () => void): () => void {
  const timer = setInterval(act, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}
