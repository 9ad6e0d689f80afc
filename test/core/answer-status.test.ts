import { expect, test } from 'vitest'
import { answerStatus } from '../../src/core/answer-status.ts'
import type { Verdict } from '../../src/core/decision.ts'

const invalid = { error: 'invalid_token', description: '' } as const

test.for<[Verdict, navigation: number, form: number, background: number]>([
  [{ kind: 'allow' }, 200, 200, 200],
  [{ kind: 'sign-in' }, 302, 303, 401],
  [{ kind: 'forbidden' }, 403, 403, 403],
  [{ kind: 'reset-cookies' }, 400, 400, 401],
  [{ kind: 'refuse-token' }, 401, 401, 401],
  [{ kind: 'refuse-token', fault: invalid }, 401, 401, 401],
  [{ kind: 'refuse-token', fault: { error: 'insufficient_scope', scopes: [] } }, 403, 403, 403],
  [{ kind: 'refuse-token', fault: { error: 'forbidden' } }, 403, 403, 403],
])('%o is answered with %i, %i and %i', ([verdict, ...statuses]) =>
  expect(
    (['navigation', 'form-navigation', 'background'] as const).map((requestClass) =>
      answerStatus(verdict, requestClass),
    ),
  ).toEqual(statuses),
)
