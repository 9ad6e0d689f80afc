import { afterAll, beforeAll } from 'vitest'

/**
 * Starts a resource before the tests of the enclosing block and disposes of it after them; the returned function gives it
 * to hooks that are declared later and to the tests.
 */
export function startedForAll<T extends AsyncDisposable>(
  start: () => Promise<T>,
  withinMs?: number,
): () => T {
  let resource: T | undefined
  beforeAll(async () => {
    resource = await start()
  }, withinMs)
  afterAll(() => resource?.[Symbol.asyncDispose]())
  return () => {
    if (!resource) throw new Error('what the tests need has not been started')
    return resource
  }
}
