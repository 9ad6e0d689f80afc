import { describe, expect, test } from 'vitest'
import { formatSessionCookie, type Session } from '../../src/core/session.ts'
import { AuthError, OutageError } from '../../src/errors.ts'
import { NOBODY } from '../../src/routes/check/found-evidence.ts'
import { createSessionCheck } from '../../src/routes/check/session-evidence.ts'
import type { FindOptions, FoundSession } from '../../src/session/find-session.ts'
import { requestParser, type UnnamedRule } from '../support/checked-request.ts'
import { identity, STARTED_AT } from '../support/session-values.ts'

const CREDENTIAL = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
const Cookie = `__Host-vestibule=${formatSessionCookie(CREDENTIAL)}`
const HOUR_MS = 3_600_000
const session: Session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + HOUR_MS }
const due = { ...session, renewal: { dueAt: STARTED_AT, endsAt: STARTED_AT + 1 } }
const overdue = { ...session, renewal: { dueAt: 0, endsAt: STARTED_AT } }
const away = new OutageError('Redis does not answer', undefined)

type Reading = FoundSession | Error | undefined

const stored = (of: Session): FoundSession => ({
  session: of,
  digest: 'd',
  confirmedAtMs: 0,
  source: 'store',
})
const inMemory = (of: Session): FoundSession =>
  ({ ...stored(of), source: 'memory' }) as FoundSession

/** Checks a request on an optional rule whose session is in memory or is read; `standIn` is what there is in an outage. */
function check(
  { memory, store, standIn }: Found,
  rule: Partial<UnnamedRule> = {},
  cookie = Cookie,
) {
  const refreshed: string[] = []
  const degraded: string[] = []
  const find = async (_: unknown, _realm: string, options: FindOptions = {}) => {
    if (options.standIn && standIn) return standIn
    if (store instanceof Error) throw store
    return store
  }
  const checkSession = createSessionCheck({
    sessions: { recall: () => memory, find } as never,
    refresher: {
      refresh: async ({ digest }) => void refreshed.push(digest),
      failureOf: () => ({}),
      lastFailureOf: () => ({ reason: 'the provider is away' }),
      finish: async () => undefined,
    },
    realmOf: (host) => host,
    storeTimeoutMs: 250,
    patienceMs: 0,
    metrics: { degradedDecision: (reason: string) => degraded.push(reason) } as never,
    now: () => STARTED_AT,
  })
  const base = { access: 'optional', passesPreflight: false } as const
  const parse = requestParser([{ ...base, ...rule }])
  return { found: checkSession(parse({ Cookie: cookie })), refreshed, degraded }
}

interface Found {
  readonly memory?: Reading
  readonly store?: Reading
  readonly standIn?: FoundSession
}

const KNOWN = { evidence: { kind: 'session', session } }
const OPTIONAL = {}
const SIGNED_IN = { access: 'signed-in' } as const

describe('the session of a request on an optional rule', () => {
  test.for<[what: string, found: Found, rule: Partial<UnnamedRule>, evidence: object]>([
    ['in memory', { memory: inMemory(session) }, OPTIONAL, { ...KNOWN, source: 'memory' }],
    ['in the store', { store: stored(session) }, OPTIONAL, { ...KNOWN, source: 'store' }],
    ['unknown', {}, OPTIONAL, { evidence: { kind: 'none' }, source: 'store' }],
    ['Redis away', { store: away }, OPTIONAL, NOBODY],
    [
      'Redis away, but one in L1',
      { store: away, standIn: { session, source: 'l1' } },
      OPTIONAL,
      { ...KNOWN, source: 'l1' },
    ],
    [
      'Redis away, and a rule with degraded: deny',
      { store: away, standIn: { session, source: 'l1' } },
      { deniesDegraded: true },
      NOBODY,
    ],
  ])('is %s', async ([, found, rule, evidence]) =>
    expect(await check(found, rule).found).toMatchObject(evidence),
  )

  test('counts as none with two cookies, and with one that is none', async () => {
    const found = { memory: inMemory(session) }
    const second = `${Cookie}; __Host-vestibule=v1.a.b`
    const ambiguous = { evidence: { kind: 'ambiguous' }, source: 'none' }
    expect(check(found, OPTIONAL, second).found).toEqual(ambiguous)
    expect(check(found, OPTIONAL, '__Host-vestibule=v1.a.b').found).toBe(NOBODY)
  })

  test.for<[what: string, error: Error]>([
    ['a fault of ours', new TypeError('undefined is not a function')],
    ['a refusal', new AuthError('internal', 'the record cannot be read')],
  ])('is not decided after %s', async ([, error]) =>
    expect(check({ store: error }).found).rejects.toBe(error),
  )

  test.for<[what: string, found: Found]>([
    ['in memory', { memory: inMemory(overdue), store: away }],
    ['in the store', { store: stored(overdue) }],
  ])('is not waited for while its tokens are overdue: %s', async ([, found]) => {
    const { found: evidence, refreshed } = check(found)
    expect(await evidence).toBe(NOBODY)
    expect(refreshed).toEqual([])
    await expect.poll(() => refreshed).toHaveLength(1)
  })

  test('is given while its tokens are due, which are refreshed behind the answer', async () => {
    const { found, refreshed } = check({ memory: inMemory(due) })
    expect(found).toMatchObject({ evidence: { session: due }, source: 'memory' })
    expect(refreshed).toEqual([])
    await expect.poll(() => refreshed).toHaveLength(1)
  })

  test('may renew the outage cookie where the store confirmed it, and nowhere else', async () => {
    expect(await check({ store: stored(session) }).found).toHaveProperty('confirmed')
    const standIn = { session, source: 'l1' } as const
    const { found, degraded } = check({ store: away, standIn })
    expect(await found).not.toHaveProperty('confirmed')
    expect(degraded).toEqual(['l1'])
  })
})

test('the session of a request on a signed-in rule is waited for, and an outage is no answer', async () => {
  await expect(check({ store: away }, SIGNED_IN).found).rejects.toBe(away)
  const { found, refreshed } = check({ store: stored(overdue) }, SIGNED_IN)
  await expect(found).rejects.toMatchObject({
    code: 'provider_unavailable',
    message: 'the tokens could not be refreshed: the provider is away',
  })
  expect(refreshed).toHaveLength(1)
})
