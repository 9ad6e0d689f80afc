/** Loaded before the service (`node --import`): its wall clock is ahead by `CLOCK_AHEAD_MS`; that of intervals is not. */
const aheadMs = Number(process.env['CLOCK_AHEAD_MS'])
const RealDate = Date

const ShiftedDate = function (this: unknown, ...args: []): Date | string {
  if (!new.target) return new RealDate(RealDate.now() + aheadMs).toString()
  return args.length === 0
    ? new RealDate(RealDate.now() + aheadMs)
    : new RealDate(...(args as unknown as [number]))
}
Object.setPrototypeOf(ShiftedDate, RealDate)
ShiftedDate.prototype = RealDate.prototype
Object.assign(ShiftedDate, { now: () => RealDate.now() + aheadMs })
globalThis.Date = ShiftedDate as unknown as DateConstructor
