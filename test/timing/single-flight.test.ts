import { expect, test } from 'vitest'
import { createSingleFlight } from '../../src/timing/single-flight.ts'

function startFlight() {
  const calls: PromiseWithResolvers<string>[] = []
  const flight = createSingleFlight(() => {
    const call = Promise.withResolvers<string>()
    calls.push(call)
    return call.promise
  })
  return { flight, calls }
}

test('callers share the call in flight', async () => {
  const { flight, calls } = startFlight()
  const waiting = [flight.run(), flight.run()]
  expect(flight.current).toBe(waiting[0])
  calls[0]?.resolve('a')
  expect([await Promise.all(waiting), calls.length]).toEqual([['a', 'a'], 1])
})

test('the caller after a call starts another', async () => {
  const { flight, calls } = startFlight()
  const first = flight.run()
  calls[0]?.resolve('a')
  await first
  expect(flight.current).toBeUndefined()
  const second = flight.run()
  calls[1]?.resolve('b')
  expect([await first, await second]).toEqual(['a', 'b'])
})

test('a failed call fails for all of its callers, and the next caller starts another', async () => {
  const { flight, calls } = startFlight()
  const waiting = [flight.run(), flight.run()]
  calls[0]?.reject(new Error('away'))
  const settled = await Promise.allSettled(waiting)
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const next = flight.run()
  calls[1]?.resolve('b')
  expect(await next).toBe('b')
})
