import { describe, expect, test } from 'vitest'
import type { Access } from '../../src/core/access/access-rule.ts'
import type { Requester } from '../../src/core/access/condition.ts'
import type { Bearer, BearerAccess, TokenFault } from '../../src/core/bearer.ts'
import {
  decide,
  type Evidence,
  isForeignOrigin,
  needsEvidence,
  type Verdict,
} from '../../src/core/decision.ts'
import { parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import type { RequestClass } from '../../src/core/request-class.ts'
import type { Session } from '../../src/core/session.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../support/raw-request.ts'
import { signedIn } from '../support/signed-in.ts'
import { words } from '../support/words.ts'

const CLASSES = words`
  preflight websocket prefetch navigation form-navigation background
` as readonly RequestClass[]

const session: Session = {
  identity: { issuer: 'https://id.example.com', subject: 'u1', groups: [], claims: {} },
  createdAt: 0,
  expiresAt: 1,
}

function access(kind: Access['kind'], isPermitted = false, passesPreflight = false): Access {
  if (kind === 'optional') return { kind, deniesDegraded: false }
  if (kind !== 'signed-in') return { kind }
  return {
    kind,
    passesPreflight,
    deniesDegraded: false,
    needsAddress: false,
    permits: ({ identity }) => isPermitted && identity === session.identity,
  }
}

const NONE: Evidence = { kind: 'none' }
const SESSION: Evidence = { kind: 'session', session }
const AMBIGUOUS: Evidence = { kind: 'ambiguous' }
const BY_SESSION: Verdict = { kind: 'allow', principal: session }

type Row = readonly [string, Access, Evidence, Verdict]
const rows: readonly Row[] = [
  ['public, nobody', access('public'), NONE, { kind: 'allow' }],
  ['public, somebody', access('public'), SESSION, { kind: 'allow' }],
  ['public, two sessions', access('public'), AMBIGUOUS, { kind: 'allow' }],
  ['optional, nobody', access('optional'), NONE, { kind: 'allow' }],
  ['optional, somebody', access('optional'), SESSION, BY_SESSION],
  ['optional, two sessions', access('optional'), AMBIGUOUS, { kind: 'allow' }],
  ['signed-in, nobody', access('signed-in', true), NONE, { kind: 'sign-in' }],
  ['signed-in, permitted', access('signed-in', true), SESSION, BY_SESSION],
  ['signed-in, not permitted', access('signed-in'), SESSION, { kind: 'forbidden', session }],
  ['signed-in, two sessions', access('signed-in', true), AMBIGUOUS, { kind: 'reset-cookies' }],
  ['deny, nobody', access('deny'), NONE, { kind: 'forbidden' }],
  ['deny, somebody', access('deny'), SESSION, { kind: 'forbidden' }],
  ['deny, two sessions', access('deny'), AMBIGUOUS, { kind: 'forbidden' }],
]

function expectVerdict([, asked, evidence, verdict]: Row): void {
  for (const requestClass of CLASSES) {
    expect(decide(asked, requestClass, evidence), requestClass).toEqual(verdict)
  }
}

describe('the decision', () => {
  test.for(rows)('%s', expectVerdict)

  test('only a preflight passes where preflights pass, and it passes as nobody', () => {
    const open = access('signed-in', true, true)
    expect(decide(open, 'preflight', NONE)).toEqual({ kind: 'allow' })
    expect(decide(open, 'preflight', SESSION)).toEqual({ kind: 'allow' })
    for (const requestClass of CLASSES.slice(1)) {
      expect(decide(open, requestClass, NONE), requestClass).toEqual({ kind: 'sign-in' })
    }
  })

  test('a session is looked up only where the answer depends on it', () => {
    for (const requestClass of CLASSES) {
      expect(needsEvidence(access('public'), requestClass)).toBe(false)
      expect(needsEvidence(access('deny'), requestClass)).toBe(false)
      expect(needsEvidence(access('optional'), requestClass)).toBe(requestClass !== 'preflight')
      expect(needsEvidence(access('signed-in'), requestClass)).toBe(true)
      const open = access('signed-in', true, true)
      expect(needsEvidence(open, requestClass)).toBe(requestClass !== 'preflight')
    }
  })
})

describe('the decision about a token', () => {
  const bearer: Bearer = {
    identity: session.identity,
    type: 'at+jwt',
    audiences: ['api'],
    scopes: new Set(['read']),
    claims: {},
    jti: 'j',
    lifeSeconds: 600,
    acceptedUntil: 7000,
  }
  const requirement = {
    issuers: new Set([session.identity.issuer]),
    audiences: new Set(['api']),
    scopes: ['read'],
    claims: new Map<string, Set<string>>(),
    type: 'at+jwt' as const,
  }
  const asked: BearerAccess = { requirements: [requirement], isOneTime: false }
  const once: BearerAccess = { ...asked, isOneTime: true }
  const fault: TokenFault = { error: 'invalid_token', description: 'none' }
  const GOOD: Evidence = { kind: 'bearer', bearer }
  const BAD: Evidence = { kind: 'bad-bearer', fault }
  const proof = { kind: 'dpop', parts: ['key', 'p'], endsAt: 5000 } as const
  const PROVEN: Evidence = { kind: 'bearer', bearer, proof }
  const spent = { kind: 'bearer', parts: ['https://id.example.com', 'j'], endsAt: 7000 } as const
  const allow: Verdict = { kind: 'allow', principal: bearer }
  const refuse = (error: 'forbidden'): Verdict => ({ kind: 'refuse-token', fault: { error } })
  const to = (bearer: BearerAccess, isPermitted = true): Access => ({
    ...signedIn(access('signed-in', isPermitted)),
    bearer,
  })

  test.for<Row>([
    ['good', to(asked), GOOD, allow],
    ['good, user not on the list', to(asked, false), GOOD, refuse('forbidden')],
    ['bad', to(asked), BAD, { kind: 'refuse-token', fault }],
    ['proven', to(asked), PROVEN, { ...allow, spends: [proof] }],
    ['one use', to(once), GOOD, { ...allow, spends: [spent] }],
    ['one use, proven', to(once), PROVEN, { ...allow, spends: [proof, spent] }],
    ['one use, user not on the list', to(once, false), GOOD, refuse('forbidden')],
    ['one use, bad', to(once), BAD, { kind: 'refuse-token', fault }],
    ['one use, nobody', to(once), NONE, { kind: 'refuse-token' }],
    ['one use, a session', to(once), SESSION, { kind: 'refuse-token' }],
    ['one use, two sessions', to(once), AMBIGUOUS, { kind: 'refuse-token' }],
    ['several uses, nobody', to(asked), NONE, { kind: 'sign-in' }],
    ['several uses, a session', to(asked), SESSION, BY_SESSION],
    ['a rule without tokens', access('signed-in', true), GOOD, { kind: 'forbidden' }],
    ['denied', access('deny'), GOOD, { kind: 'forbidden' }],
    ['public', access('public'), BAD, { kind: 'allow' }],
    ['optional', access('optional'), GOOD, { kind: 'allow' }],
  ])('%s', expectVerdict)

  test.for<[string, Evidence]>([
    ['a session', SESSION],
    ['a token', GOOD],
  ])("beside %s, the client's address is compared", ([, evidence]) => {
    const permits = ({ address }: Requester) => address === '192.0.2.7'
    const near: Access = { ...signedIn(to(asked)), needsAddress: true, permits }
    const isAllowed = (address?: string) =>
      decide(near, 'background', evidence, address).kind === 'allow'
    expect([isAllowed('192.0.2.7'), isAllowed('192.0.2.8'), isAllowed()]).toEqual([
      true,
      false,
      false,
    ])
  })

  test('a token that lacks a scope is not spent', () => {
    const poor: Evidence = { kind: 'bearer', bearer: { ...bearer, scopes: new Set() }, proof }
    const fault = { error: 'insufficient_scope', scopes: ['read'] }
    expect(decide(to(once), 'background', poor)).toEqual({ kind: 'refuse-token', fault })
  })
})

describe('the origin of a WebSocket handshake', () => {
  const sites = sitesOf('app.example.com', '*.apps.example.com', 'http://app.localhost:8080')
  const request = parseForwardedRequest(
    sentHeaders(forwarded({ 'X-Forwarded-Proto': 'wss', 'X-Forwarded-Uri': '/socket' })),
    sites,
  )

  test.for([
    undefined,
    ...words`
      https://app.example.com https://app.example.com:443 https://a.apps.example.com
      http://app.localhost:8080
    `,
  ])('%s is ours', (origin) => expect(isForeignOrigin(origin, request, sites)).toBe(false))

  test.for([
    '',
    ...words`
      null https://evil.test http://app.example.com https://app.example.com:8443
      https://app.example.com.evil.test https://evil.test/app.example.com https://apps.example.com
      https://app.localhost:8080 wss://app.example.com file:// app.example.com
      https://app.example.com,\x20https://evil.test
    `,
  ])('%j is foreign (A98)', (origin) => expect(isForeignOrigin(origin, request, sites)).toBe(true))
})
