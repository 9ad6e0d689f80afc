import { vi } from 'vitest'

/** From now on no request to the provider ends for having taken too long: what answers all the same has not waited for it. */
export const letRequestsTakeForever = (): Disposable => {
  const spy = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(new AbortController().signal)
  return { [Symbol.dispose]: () => spy.mockRestore() }
}
