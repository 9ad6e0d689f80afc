import { afterEach, expect } from 'vitest'

/** The service logs through pino alone, and libraries that write to the console have something to say. */
const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const

const written: string[] = []
for (const method of METHODS) {
  console[method] = (...parts: unknown[]) => {
    written.push(`console.${method}: ${parts.map(String).join(' ')}`)
  }
}

afterEach(() => {
  expect(written.splice(0), 'something was written to the console').toEqual([])
})
