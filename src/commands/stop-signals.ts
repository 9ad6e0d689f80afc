/** Signals to stop, kept from the moment on that they are caught: one that comes before anybody waits is not lost. */
export interface StopSignals {
  readonly hasCome: boolean
  readonly first: Promise<NodeJS.Signals>
  /** Of somebody who does not want to wait. */
  readonly second: Promise<NodeJS.Signals>
}

/** The third one ends the process as if nobody had caught any. */
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
