const RealDate = Date
const realNow = performance.now.bind(performance)

/** The clocks of this process, which go on as they do, and ahead by what a test lets pass. */
export interface PassingTime extends Disposable {
  readonly pass: (ms: number) => void
}

/** Takes hold of wall clock and monotonic clock until it is disposed of. What is started before does not see time pass. */
export const takeTime = (): PassingTime => {
  let aheadMs = 0
  const now = () => RealDate.now() + aheadMs
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: [], newTarget) =>
      Reflect.construct(target, args.length > 0 ? args : [now()], newTarget) as Date,
    get: (target, name, receiver) =>
      name === 'now' ? now : (Reflect.get(target, name, receiver) as unknown),
  })
  performance.now = () => realNow() + aheadMs
  return {
    pass: (ms) => {
      aheadMs += ms
    },
    [Symbol.dispose]: () => {
      globalThis.Date = RealDate
      performance.now = realNow
    },
  }
}
