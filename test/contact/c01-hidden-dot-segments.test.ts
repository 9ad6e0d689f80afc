import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/refusal.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'
import { checkInCore } from '../support/server-models/core-check.ts'
import { hostileRequests } from '../support/server-models/hostile-paths.ts'
import { serverModels } from '../support/server-models/models.ts'
import { findWrongAllows } from '../support/server-models/wrong-allows.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'

test('C1: 20,000 hostile paths, and no server behind us serves what the rules forbid', () => {
  expect(Object.keys(serverModels).length).toBeGreaterThanOrEqual(18)
  const admitted = { disguised: 0, plain: 0 }
  fc.assert(
    fc.property(hostileRequests, ([rules, path]) => {
      expect(findWrongAllows(checkInCore, rules, path)).toEqual([])
      if (checkInCore(rules, path)('alice')) admitted[/[%;\\]/.test(path) ? 'disguised' : 'plain']++
    }),
    { numRuns: 20_000, seed: 11 },
  )
  // Refusing everything would be no proof.
  expect(admitted.disguised).toBeGreaterThan(2000)
  expect(admitted.plain).toBeGreaterThan(500)
}, 600_000)

describe('C1: a hidden dot segment', () => {
  let rules: WrittenRules
  let vestibule: RunningVestibule

  beforeAll(async () => {
    rules = await writeRules([{ access: 'public', preflight: 'pass' }])
    vestibule = await startVestibule({ VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: 'false' })
  })
  afterAll(async () => {
    await vestibule[Symbol.asyncDispose]()
    await rules[Symbol.asyncDispose]()
  })

  test.for([
    '/x/..%2Fadmin/tool.php/..;/..;/..;x',
    '/a/../b',
    '/a/..',
    '/./a',
    '/a/..;x/b',
    '/a/.;x',
    '/a/..%5Cb',
    '/a/..\\b',
    '/a/%2e%2e/b',
    '/a/%252e%252e/b',
    '/a/.%25252e',
    '/a/..%20/b',
    '/a/..%09',
    '/a/..%00',
    '/a/..%3Fx',
    '/a/..%23',
    '/a/%u002e%u002e/b',
    '/a/%EF%BC%8E%EF%BC%8E/b',
    '/a/%E2%80%A5',
    '/oauth2/..%2fa',
  ])('%s is refused for every method, and the answer says why', async (uri) => {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const headers = { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' }
      const visit = await vestibule.check({ uri, method }, headers)
      expectRefusal(visit, 400)
      expect(JSON.parse(visit.body)).toMatchObject({ error: 'hidden_dots' })
    }
    expect(vestibule.log()).toContainEqual(
      expect.objectContaining({ event: 'refused', code: 'hidden_dots', status: 400 }),
    )
  })

  test('dots in names are no segments of their own', async () => {
    for (const uri of ['/..a/b..c/.well-known/x', '/a?b=/../c', '/...a']) {
      expect((await vestibule.check({ uri })).status).toBe(200)
    }
  })
})
