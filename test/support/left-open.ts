interface Open {
  readonly name: string
  readonly close: () => Promise<unknown>
}

const open = new Set<Open>()

// Vitest's own end does not end the process that runs the tests, and its watchdog waits for that (see process-guard).
process.once('disconnect', () => process.exit(1))

/** Notes what a test has opened in its own process. Returns what to call when it is closed. */
export const noteOpen = (name: string, close: Open['close']): (() => void) => {
  const entry = { name, close }
  open.add(entry)
  return () => void open.delete(entry)
}

/** Closes what was not closed. Returns its names. */
export const closeLeftOpen = async (): Promise<readonly string[]> => {
  const left = [...open]
  await Promise.all(left.map(({ close }) => close()))
  return left.map(({ name }) => name)
}
