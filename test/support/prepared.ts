import { afterAll, afterEach, beforeAll, expect } from 'vitest'

/**
 * Makes a resource before the tests of a file or `describe` and disposes of it after them, in reverse order; the
 * returned function reads it. After each test a Vestibule in it has to be alive.
 */
export function prepared<T>(make: () => Promise<T>, withinMs?: number): () => T {
  const made: T[] = []
  beforeAll(async () => {
    made[0] = await make()
  }, withinMs)
  afterEach(() => {
    for (const { isAlive } of vestibulesIn(made[0])) expect(isAlive()).toBe(true)
  })
  afterAll(async () => {
    const [resource] = made.splice(0)
    if (isDisposable(resource)) await resource[Symbol.asyncDispose]()
  })
  return () => {
    if (made.length === 0) throw new Error('the resource is read before the tests begin')
    return made[0] as T
  }
}

interface Living {
  readonly isAlive: () => boolean
}

/** The resource itself, or the service of a relying party or a protected app. */
function vestibulesIn(resource: unknown): readonly Living[] {
  if (typeof resource !== 'object' || resource === null) return []
  if ('isAlive' in resource) return [resource as Living]
  const members = resource as Readonly<Record<string, unknown>>
  return [members['vestibule'], members['party']].flatMap(vestibulesIn)
}

function isDisposable(value: unknown): value is AsyncDisposable {
  return typeof value === 'object' && value !== null && Symbol.asyncDispose in value
}
