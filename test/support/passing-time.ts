const RealDate = Date

/** Wall clock and monotonic clock of this process, which stand still but for what a test lets pass. */
export interface PassingTime extends Disposable {
  readonly pass: (ms: number) => void
}

/** Takes hold of both clocks until it is disposed of. Timers go on: a deadline ends when it really is over. */
export const takeTime = (): PassingTime => {
  // Whole, so that sums of it are exact.
  const realNow = performance.now.bind(performance)
  let monotonicMs = Math.ceil(realNow())
  let nowMs = RealDate.now()
  const now = () => nowMs
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: [], newTarget) =>
      Reflect.construct(target, args.length > 0 ? args : [nowMs], newTarget) as Date,
    get: (target, name, receiver) =>
      name === 'now' ? now : (Reflect.get(target, name, receiver) as unknown),
  })
  performance.now = () => monotonicMs
  return {
    pass: (ms) => {
      monotonicMs += ms
      nowMs += ms
    },
    [Symbol.dispose]: () => {
      globalThis.Date = RealDate
      performance.now = realNow
    },
  }
}
