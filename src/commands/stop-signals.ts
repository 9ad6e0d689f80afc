/** Signals to stop. They are kept from the start of the process, so that an early one is not lost. */
export interface StopSignals {
  readonly hasCome: boolean
  readonly first: Promise<NodeJS.Signals>
  /** Resolves at the second signal, whose sender does not want to wait. */
  readonly second: Promise<NodeJS.Signals>
}

/** Catches two signals; a third one ends the process at once. */
export function catchStopSignals(): StopSignals {
  const first = Promise.withResolvers<NodeJS.Signals>()
  const second = Promise.withResolvers<NodeJS.Signals>()
  let hasCome = false
  function note(signal: NodeJS.Signals): void {
    if (hasCome) {
      process.off('SIGTERM', note).off('SIGINT', note)
      second.resolve(signal)
    }
    hasCome = true
    first.resolve(signal)
  }
  process.on('SIGTERM', note).on('SIGINT', note)
  return {
    get hasCome() {
      return hasCome
    },
    first: first.promise,
    second: second.promise,
  }
}
