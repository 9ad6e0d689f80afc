import { setImmediate as nextRound } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { Condition } from '../../src/core/access/condition.ts'
import { type Bearer, invalidToken, type TokenFault } from '../../src/core/bearer.ts'
import type { Evidence, Verdict } from '../../src/core/decision.ts'
import type { Identity } from '../../src/core/identity.ts'
import { compilePathPattern } from '../../src/core/path-pattern.ts'
import type { Session } from '../../src/core/session.ts'
import { OutageError } from '../../src/errors.ts'
import type { FindBehind } from '../../src/routes/check/find-behind.ts'
import { createReportLog } from '../../src/routes/check/report-log.ts'
import { requestParser, type UnnamedRule } from '../support/checked-request.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'

const clock = useMonotonicClock()

const ada: Identity = { issuer: 'i', subject: 'ada', groups: ['a'], claims: {} }
const session: Session = { identity: ada, createdAt: 0, expiresAt: 1 }
const bearer: Bearer = {
  identity: ada,
  type: 'at+jwt',
  audiences: ['api'],
  scopes: new Set(['read']),
  claims: {},
  acceptedUntil: 1,
}
const requirement = {
  issuers: new Set(['i']),
  audiences: new Set(['api']),
  scopes: ['read'],
  claims: new Map<string, Set<string>>(),
  type: 'at+jwt' as const,
}

const BY_SESSION: Evidence = { kind: 'session', session }
const BY_TOKEN: Evidence = { kind: 'bearer', bearer }
const NOBODY: Evidence = { kind: 'none' }
const ALLOW: Verdict = { kind: 'allow' }

const base = { passesPreflight: false, isReport: true } as const
const inB: Condition = { kind: 'groups', values: new Set(['b']) }
const inA: Condition = { kind: 'groups', values: new Set(['a']) }

function at(contains: (address: string) => boolean): Condition {
  return { kind: 'networks', networks: { sources: ['net'], contains } }
}

function asking(condition: Condition, policy?: string): UnnamedRule {
  const required = { condition, ...(policy !== undefined && { policy }) }
  return { ...base, access: 'signed-in', conditions: [required] }
}

function taking(isOneTime: boolean, scopes = ['read'], audience = 'api'): UnnamedRule {
  const asked = { ...requirement, scopes, audiences: new Set([audience]) }
  return { ...base, access: 'signed-in', bearer: { requirement: asked, isOneTime } }
}

const DENY: UnnamedRule = { ...base, access: 'deny' }
const ANYBODY: UnnamedRule = { ...base, access: 'signed-in' }
const SIGNED_IN: UnnamedRule = { passesPreflight: false, access: 'signed-in' }
const PUBLIC: UnnamedRule = { passesPreflight: false, access: 'public' }

const PREFLIGHT = {
  'X-Forwarded-Method': 'OPTIONS',
  Origin: 'https://app.example.com',
  'Access-Control-Request-Method': 'PUT',
}

interface Line {
  readonly event: string
  readonly rule?: string
  readonly suppressed?: number
}

/** Starts a report log whose requests are decided by these rules, and by a session found behind the answer. */
function start(rules: readonly UnnamedRule[], findBehind: FindBehind = async () => undefined) {
  const counted: string[] = []
  const lines: Line[] = []
  let address: string | undefined = '192.0.2.7'
  const write = (line: Line) => void lines.push(line)
  const reports = createReportLog({
    findBehind,
    clientAddress: () => address,
    onWouldDeny: (rule) => counted.push(rule),
    log: { info: write, error: write } as never,
  })
  const parse = requestParser(rules)
  const note = (evidence: Evidence, verdict: Verdict = ALLOW, sent = {}) => {
    const headers = { 'X-Forwarded-Uri': '/a?code=secret', 'X-Request-Id': 'request-1', ...sent }
    reports.note(parse(headers), evidence, verdict)
  }
  return { counted, lines, note, leave: () => (address = undefined) }
}

/** Lets what was begun behind an answer come to its end. */
async function behind(): Promise<void> {
  for (let round = 0; round < 3; round++) await nextRound()
}

describe('a rule that only reports', () => {
  test.for<[what: string, rule: UnnamedRule, evidence: Evidence, why: object]>([
    ['deny', DENY, BY_SESSION, { code: 'access_deny' }],
    ['deny, a token', DENY, BY_TOKEN, { code: 'access_deny' }],
    ['a condition', asking(inB), BY_SESSION, { code: 'condition' }],
    ['a policy', asking(inB, 'staff'), BY_SESSION, { code: 'policy', policy: 'staff' }],
    ['a network', asking(at(() => false)), BY_SESSION, { code: 'condition' }],
    ['a token without a scope', taking(false, ['write']), BY_TOKEN, { code: 'insufficient_scope' }],
    ['a token for elsewhere', taking(false, [], 'other'), BY_TOKEN, { code: 'credential' }],
    ['tokens only, a session', taking(true), BY_SESSION, { code: 'credential' }],
    ['no tokens, a token', ANYBODY, BY_TOKEN, { code: 'credential' }],
  ])('counts whom it would refuse: %s', async ([, rule, evidence, why]) => {
    const { note, counted, lines } = start([rule, SIGNED_IN])
    note(evidence)
    await behind()
    expect(counted).toEqual(['1'])
    const asked = { host: 'app.example.com', path: '/a', request_id: 'request-1' }
    const user = expect.stringMatching(/^[\w-]{16}$/) as string
    const known = { event: 'would_deny', rule: '1', reason: expect.any(String) as string }
    expect(lines).toEqual([{ ...known, user, ...asked, ...why }])
    expect(JSON.stringify(lines)).not.toMatch(/ada|192\.0\.2|secret/)
  })

  test.for<[what: string, rule: UnnamedRule, evidence: Evidence]>([
    ['anybody', ANYBODY, BY_SESSION],
    ['a condition that holds', asking(inA), BY_SESSION],
    ['a network that holds', asking(at((address) => address === '192.0.2.7')), BY_SESSION],
    ['a token that it takes', taking(false), BY_TOKEN],
    ['nobody', DENY, NOBODY],
    ['two cookies', DENY, { kind: 'ambiguous' }],
    ['another path', { ...DENY, paths: [compilePathPattern('/b')] }, BY_SESSION],
    ['a rule that decides', { ...DENY, isReport: false }, BY_SESSION],
  ])('counts nobody else: %s', async ([, rule, evidence]) => {
    const { note, counted, lines } = start([rule, SIGNED_IN])
    note(evidence)
    await behind()
    expect([counted, lines]).toEqual([[], []])
  })

  test.for<[counts: number, fault: TokenFault]>([
    [1, { error: 'forbidden' }],
    [1, { error: 'insufficient_scope', scopes: ['write'] }],
    [0, invalidToken('the token has been used before')],
    [0, { error: 'invalid_dpop_proof', description: 'the proof has been used before' }],
  ])('counts %i for a token that is refused with %o', async ([counts, fault]) => {
    const { note, counted } = start([DENY, taking(false)])
    note(BY_TOKEN, { kind: 'refuse-token', fault })
    await behind()
    expect(counted).toHaveLength(counts)
  })

  test('is evaluated behind the answer', async () => {
    const { note, counted, lines } = start([DENY, SIGNED_IN])
    note(BY_SESSION)
    for (let step = 0; step < 20; step++) await Promise.resolve()
    expect([counted, lines]).toEqual([[], []])
    await behind()
    expect([counted, lines]).toMatchObject([['1'], [{ rule: '1' }]])
  })

  test('knows the address of a client that has left since', async () => {
    const isOurs = asking(at((address) => address === '192.0.2.7'))
    const { note, counted, leave } = start([isOurs, SIGNED_IN])
    note(BY_SESSION)
    leave()
    await behind()
    expect(counted).toEqual([])
  })

  test.for([
    [0, true],
    [1, false],
  ] as const)('counts %i preflights where it lets them pass: %s', async ([count, passes]) => {
    const { note, counted } = start([{ ...asking(inB), passesPreflight: passes }, PUBLIC])
    note(BY_SESSION, ALLOW, PREFLIGHT)
    await behind()
    expect(counted).toHaveLength(count)
  })

  test('has one line a second, with the number left out', async () => {
    const { note, counted, lines } = start([DENY, asking(inB), SIGNED_IN])
    for (let at = 0; at < 5; at++) note(BY_SESSION)
    await behind()
    expect(lines).toMatchObject([{ rule: '1' }, { rule: '2' }])
    clock.elapse(999)
    note(BY_SESSION)
    await behind()
    expect(lines).toHaveLength(2)
    clock.elapse(1)
    note(BY_SESSION)
    await behind()
    expect(lines.slice(2)).toMatchObject([
      { rule: '1', suppressed: 5 },
      { rule: '2', suppressed: 5 },
    ])
    expect(counted).toHaveLength(14)
  })

  test('is explained for a line alone', async () => {
    const contains = vi.fn(() => false)
    const { note } = start([asking(at(contains)), SIGNED_IN])
    note(BY_SESSION)
    await behind()
    contains.mockClear()
    for (let at = 0; at < 5; at++) note(BY_SESSION)
    await behind()
    expect(contains).toHaveBeenCalledTimes(5)
  })
})

describe('the session of a request whose rule needed none', () => {
  test.for<[what: string, rule: UnnamedRule, isFound: boolean, counted: readonly string[]]>([
    ['public', PUBLIC, true, ['1']],
    ['deny', { ...DENY, isReport: false }, true, ['1']],
    ['public, a stranger', PUBLIC, false, []],
    ['optional, nobody', { ...PUBLIC, access: 'optional' }, true, []],
    ['signed-in, nobody', SIGNED_IN, true, []],
  ])('is looked up behind the answer: %s', async ([, rule, isFound, expected]) => {
    const { note, counted } = start([asking(inB), rule], async () =>
      isFound ? session : undefined,
    )
    note(NOBODY)
    await behind()
    expect(counted).toEqual(expected)
  })

  test('is not looked up where no report rule matches', async () => {
    const findBehind = vi.fn<FindBehind>(async () => session)
    const { note } = start([{ ...DENY, paths: [compilePathPattern('/b')] }, PUBLIC], findBehind)
    note(NOBODY)
    await behind()
    expect(findBehind).not.toHaveBeenCalled()
  })

  test.for<[lines: number, error: Error]>([
    [0, new OutageError('Redis does not answer', undefined)],
    [1, new TypeError('undefined is not a function')],
  ])('may fail, with %i lines: %s', async ([count, error]) => {
    const { note, counted, lines } = start([DENY, PUBLIC], () => Promise.reject(error))
    note(NOBODY)
    await behind()
    expect(counted).toEqual([])
    expect(lines).toMatchObject(Array.from({ length: count }, () => ({ event: 'report_failed' })))
  })
})

test('a condition that throws is logged, and the other rules count on', async () => {
  const broken = asking(
    at(() => {
      throw new TypeError('no address')
    }),
  )
  const { note, counted, lines } = start([broken, DENY, SIGNED_IN])
  note(BY_SESSION)
  await behind()
  expect(counted).toEqual(['2'])
  expect(lines).toMatchObject([
    { event: 'report_failed', rule: '1' },
    { event: 'would_deny', rule: '2' },
  ])
})
