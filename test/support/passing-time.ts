import { afterAll } from 'vitest'

/**
 * Takes hold of both clocks until the tests of a file have ended. Meanwhile they go on, or with `still` move only when told to.
 * Timers are left alone: a deadline ends when it really is over.
 */
export const takeTime = (how?: 'still') => {
  const RealDate = Date
  const monotonic = performance.now.bind(performance)
  // Whole, so that sums of it are exact.
  const startedMs = { wall: RealDate.now(), monotonic: Math.ceil(monotonic()) }
  let aheadMs = 0
  const now = () => aheadMs + (how ? startedMs.wall : RealDate.now())
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: [], newTarget) =>
      Reflect.construct(target, args.length > 0 ? args : [now()], newTarget) as Date,
    get: (target, name, receiver) =>
      name === 'now' ? now : (Reflect.get(target, name, receiver) as unknown),
  })
  performance.now = () => aheadMs + (how ? startedMs.monotonic : monotonic())
  afterAll(() => {
    globalThis.Date = RealDate
    performance.now = monotonic
  })
  return {
    pass: (ms: number) => {
      aheadMs += ms
    },
  }
}
