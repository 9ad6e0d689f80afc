import { setImmediate as nextRound } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Bearer, invalidToken, type TokenFault } from '../../src/core/bearer.ts'
import type { Session } from '../../src/core/session.ts'
import { OutageError } from '../../src/errors.ts'
import type { FindBehind } from '../../src/routes/check/find-behind.ts'
import { createRefusalLog } from '../../src/routes/check/refusal-log.ts'
import { requestParser, type UnnamedRule } from '../support/checked-request.ts'
import { identity } from '../support/session-values.ts'

const session: Session = { identity, createdAt: 0, expiresAt: 1 }
const bearer: Bearer = {
  identity,
  type: 'at+jwt',
  audiences: ['api'],
  scopes: new Set(),
  claims: {},
  acceptedUntil: 1,
}
const office = (address: string) => address === '192.0.2.7'
const networks = { sources: ['192.0.2.7'], contains: office }
const rules: readonly UnnamedRule[] = [
  {
    access: 'signed-in',
    passesPreflight: false,
    conditions: [{ condition: { kind: 'networks', networks } }],
  },
]

function start(findBehind: FindBehind) {
  const lines: object[] = []
  let address: string | undefined = '192.0.2.7'
  const refusals = createRefusalLog({
    findBehind,
    clientAddress: () => address,
    cookies: {} as never,
    log: { info: (line: object) => lines.push(line) } as never,
  })
  const checked = requestParser(rules)()
  return { refusals, checked, lines, leave: () => (address = undefined) }
}

test('whoever is found behind the answer is refused by the address that the client had', async () => {
  const { refusals, checked, lines, leave } = start(async () => session)
  refusals.notPermitted(checked, undefined)
  leave()
  await nextRound()
  // Meets the rule, so that the refusal has another reason than an unknown address.
  expect(lines).toMatchObject([{ event: 'not_permitted', code: 'access_deny' }])
})

test.for<[who: string, findBehind: FindBehind]>([
  ['a stranger', async () => undefined],
  ['somebody during an outage', () => Promise.reject(new OutageError('no Redis', undefined))],
])('%s has no line', async ([, findBehind]) => {
  const { refusals, checked, lines } = start(findBehind)
  refusals.notPermitted(checked, undefined)
  await nextRound()
  expect(lines).toEqual([])
})

test.for<[count: number, fault: TokenFault]>([
  [1, { error: 'forbidden' }],
  [1, { error: 'insufficient_scope', scopes: ['read'] }],
  [0, invalidToken('the token has been used before')],
  [0, { error: 'invalid_dpop_proof', description: 'the proof has been used before' }],
])('a token has %i lines for %o', ([count, fault]) => {
  const { refusals, checked, lines } = start(async () => session)
  refusals.tokenNotPermitted(checked, { kind: 'bearer', bearer }, fault)
  expect(lines).toHaveLength(count)
})
