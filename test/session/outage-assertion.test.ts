import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/core/session.ts'
import { createKeyRing, type SealContext } from '../../src/crypto/key-ring.ts'
import { createOutageAssertions } from '../../src/session/outage-assertion.ts'
import { createSessionCodec } from '../../src/session/records.ts'
import type { PresentedSession } from '../../src/session/session-cache.ts'
import { useMonotonicClock } from '../support/monotonic-clock.ts'
import { DAY_MS, identity, KEY_PREFIX, REALM, STARTED_AT } from '../support/started-sessions.ts'
import { words } from '../support/words.ts'

const GRACE_MS = 300_000

useMonotonicClock()

const held: PresentedSession = {
  digest: 'd'.repeat(43),
  credential: { id: 'i'.repeat(43), secret: 's'.repeat(43) },
  realm: REALM,
}
const session: Session = { identity, createdAt: STARTED_AT - 1000, expiresAt: STARTED_AT + DAY_MS }
const context: SealContext = {
  purpose: 'outage',
  name: held.digest,
  realm: REALM,
  secret: held.credential.secret,
}

const start = (keys = [randomBytes(32)]) => {
  let nowMs = STARTED_AT
  const now = () => nowMs
  const ring = createKeyRing(keys)
  const assertions = createOutageAssertions({ ring, graceMs: GRACE_MS, now })
  /** As it is after an answer of the store that was asked for just now. */
  const tryIssue = (issued = session, ageMs = 0) =>
    assertions.issue({ ...held, session: issued, confirmedAtMs: performance.now() - ageMs }, held)
  return {
    ring,
    now,
    assertions,
    tryIssue,
    issue: (issued = session, ageMs = 0) => tryIssue(issued, ageMs) ?? 'none',
    open: (text: string, by = held) => assertions.open(text, by),
    elapse: (ms: number) => void (nowMs += ms),
  }
}
/** Any statement in the place of one of ours. */
const written = (sealed: Buffer, at = STARTED_AT) =>
  `v1.${Math.floor(at / 1000).toString(36)}.${sealed.toString('base64url')}`
const sealedPartOf = (text: string) => text.slice(text.lastIndexOf('.') + 1)

describe('an outage assertion', () => {
  test('says whose it is and of which generation, and nothing of tokens, which wait for the store', () => {
    const { ring, open, issue } = start()
    const carried = { ...session, providerSession: 'p'.repeat(43), generation: 7 }
    const text = issue({
      ...carried,
      accessToken: { value: 'the-access-token', expiresAt: STARTED_AT + 60_000 },
      renewal: { dueAt: STARTED_AT, endsAt: STARTED_AT + 60_000 },
    })
    expect(open(text)).toEqual(carried)
    const plaintext = ring.open(Buffer.from(sealedPartOf(text), 'base64url'), context)
    expect(JSON.parse(String(plaintext))).toEqual({ session: carried, confirmedAt: STARTED_AT })
  })

  test('is opened by whoever has the key, also after its rotation, and not after it was taken away', () => {
    const [old, next] = [randomBytes(32), randomBytes(32)]
    const text = start([old]).issue()
    const openedBy = [[old], [next, old], [next]].map((keys) => start(keys).open(text))
    expect(openedBy).toEqual([session, session, undefined])
  })

  test.for<[string, PresentedSession]>([
    ['another id', { ...held, digest: 'e'.repeat(43) }],
    ['another secret', { ...held, credential: { ...held.credential, secret: 't'.repeat(43) } }],
    ['no secret', { ...held, credential: { ...held.credential, secret: '' } }],
    ['another realm', { ...held, realm: 'wiki.example.com' }],
    ['the realm of a domain', { ...held, realm: 'example.com' }],
  ])('is nothing with %s', ([, other]) => {
    const { open, issue } = start()
    const text = issue()
    expect([open(text), open(text, other)]).toEqual([session, undefined])
  })

  test('is nothing when a part of it is missing, or something is put in', () => {
    const { open, issue } = start()
    const text = issue()
    for (let length = 0; length < text.length; length += 1)
      expect(open(text.slice(0, length)), `${length}`).toBeUndefined()
    for (const part of ['.', '=', '+', ' ', '\n', 'AAAA']) {
      for (const at of [text.lastIndexOf('.') + 1, text.length - 20, text.length]) {
        const longer = text.slice(0, at) + part + text.slice(at)
        expect(open(longer), JSON.stringify(part)).toBeUndefined()
      }
    }
  })

  test('the time that it shows makes it no younger: what counts is sealed', () => {
    const { assertions, open, issue, now, elapse } = start()
    const sealed = sealedPartOf(issue())
    elapse(GRACE_MS - 1)
    const shown = `v1.${Math.floor(now() / 1000).toString(36)}.${sealed}`
    expect([assertions.isRecent(shown), open(shown)]).toEqual([true, session])
    elapse(1)
    expect(open(shown)).toBeUndefined()
  })
})

describe('other things that we seal', () => {
  const codecOf = (ring: ReturnType<typeof createKeyRing>) =>
    createSessionCodec({ ring, keyPrefix: KEY_PREFIX, onIntegrityFailure: () => undefined })
  const holder = { secret: held.credential.secret, realm: REALM }

  test('a record of the session is no assertion, and an assertion is no record', () => {
    const { ring, open, issue } = start()
    const codec = codecOf(ring)
    expect(open(written(codec.seal(held.digest, 'identity', session, holder)))).toBeUndefined()
    const sealed = Buffer.from(sealedPartOf(issue()), 'base64url')
    for (const part of ['identity', 'tokens', 'metadata'] as const) {
      expect(codec.open(held.digest, part, sealed, holder), part).toBeUndefined()
      expect(codec.open(held.digest, part, sealed), part).toBeUndefined()
    }
  })

  test.for([
    ['another purpose', { ...context, purpose: 'session' }],
    ['another name', { ...context, name: `${KEY_PREFIX}{${held.digest}}:s` }],
    ['no holder', { purpose: 'outage', name: held.digest, realm: REALM }],
  ] as const)('a good statement that was sealed for %s is none', ([, other]) => {
    const { ring, open } = start()
    const statement = Buffer.from(JSON.stringify({ session, confirmedAt: STARTED_AT }))
    expect(open(written(ring.seal(statement, context)))).toEqual(session)
    expect(open(written(ring.seal(statement, other)))).toBeUndefined()
  })

  test.for<[string, unknown]>([
    ['without its time', { session }],
    ['with text for its time', { session, confirmedAt: `${STARTED_AT}` }],
    ['without a session', { confirmedAt: STARTED_AT }],
    ['without a subject', { session: { ...session, identity: {} }, confirmedAt: STARTED_AT }],
    ['that is null', null],
  ])('a statement %s is none', ([, statement]) => {
    const { ring, open } = start()
    const sealed = ring.seal(Buffer.from(JSON.stringify(statement)), context)
    expect(open(written(sealed))).toBeUndefined()
  })

  const noises = words`v1. v1.. v1.0. v2.0.AAAA AAAA v1.0.!!!! v1.0.${'A'.repeat(400)}`
  test.for(['', ...noises])('noise is none: %s', (noise) =>
    expect(start().open(noise)).toBeUndefined(),
  )
})

describe('the age of an outage assertion', () => {
  test.for([
    [0, true],
    [GRACE_MS - 1, true],
    [GRACE_MS, false],
    [10 * GRACE_MS, false],
    [-29_999, true],
    [-30_000, false],
    [-GRACE_MS, false],
  ] as const)('after %i ms it counts: %s', ([ageMs, doesCount]) => {
    const { open, issue, elapse } = start()
    const text = issue()
    elapse(ageMs)
    expect(open(text)).toEqual(doesCount ? session : undefined)
  })

  test('begins with the confirmation and not with the cookie', () => {
    expectToEnd(session, 100_000, GRACE_MS - 100_000)
  })

  test('does not outlive the session', () => {
    expectToEnd({ ...session, expiresAt: STARTED_AT + 1000 }, 0, 1000)
  })

  function expectToEnd(issued: Session, ageMs: number, afterMs: number): void {
    const { open, issue, elapse } = start()
    const text = issue(issued, ageMs)
    elapse(afterMs - 1)
    expect(open(text)).toEqual(issued)
    elapse(1)
    expect(open(text)).toBeUndefined()
  }

  test.for([
    [0, true],
    [59_999, true],
    [60_000, false],
    [GRACE_MS, false],
    [-29_999, true],
    [-30_000, false],
  ] as const)('after %i ms it needs no successor: %s', ([ageMs, isRecent]) => {
    const { assertions, issue, elapse } = start()
    const text = issue()
    elapse(ageMs)
    expect(assertions.isRecent(text)).toBe(isRecent)
  })

  const timeless = words`v1. v1.. v1.!.x v1.0.x v1.zzzzzzzzzzzz.x v2.0.x noise`
  test.for(['', ...timeless])('what shows no time needs a successor: %s', (text) => {
    expect(start().assertions.isRecent(text)).toBe(false)
  })
})

describe('making outage assertions', () => {
  const ofLength = (length: number): Session => ({
    ...session,
    identity: { ...identity, claims: { dept: 'x'.repeat(length) } },
  })

  test('the limit is met to the character', () => {
    const lengths = Array.from({ length: 200 }, (_, more) => 1800 + more)
    const made = lengths.map((length) => start().tryIssue(ofLength(length))?.length)
    const longest = made.findLast((length) => length !== undefined)
    expect(made.at(-1)).toBeUndefined()
    expect(longest).toBeGreaterThan(2996)
    expect(longest).toBeLessThanOrEqual(3000)
  })

  test('one session has one for a fifth of the grace, since sealing costs more than a check', () => {
    const { issue, elapse } = start()
    const first = issue()
    elapse(59_999)
    expect(issue()).toBe(first)
    elapse(1)
    const second = issue()
    expect(second).not.toBe(first)
    expect(issue()).toBe(second)
    expect(issue({ ...session })).not.toBe(second)
  })

  test('one that did not fit is not tried again for as long', () => {
    const { ring } = start()
    let seals = 0
    const counting = createOutageAssertions({
      ring: { ...ring, seal: (...sealed) => (seals++, ring.seal(...sealed)) },
      graceMs: GRACE_MS,
      now: () => STARTED_AT,
    })
    const large = { ...held, session: ofLength(5000), confirmedAtMs: performance.now() }
    for (let count = 0; count < 5; count += 1) expect(counting.issue(large, held)).toBeUndefined()
    expect(seals).toBe(1)
  })
})
