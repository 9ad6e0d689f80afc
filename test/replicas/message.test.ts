import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJson } from '../../src/core/json.ts'
import { type BackplaneMessage, formatMessage, parseMessage } from '../../src/replicas/message.ts'
import { anyText } from '../support/any-text.ts'

const bodies: readonly BackplaneMessage[] = [
  { type: 'session-ended', session: 'd'.repeat(43) },
  { type: 'session-ended', session: 'd'.repeat(43), reason: 'replaced' },
  { type: 'session-ended', session: 'd'.repeat(43), reason: 'one of a later version' },
  { type: 'evict', session: '' },
  { type: 'evict', session: 'd'.repeat(43), renewed: true },
  { type: 'broadcast', id: '2-0', previous: '1-0', sealed: 'c2VhbGVk' },
  { type: 'token-denied', token: 'd'.repeat(43), ttlMs: 1234.56 },
  { type: 'clear', region: 'sessions' },
  { type: 'clear', region: 'tokens' },
  { type: 'clear-all' },
  { type: 'self-test' },
]

describe('a message of the backplane', () => {
  test.for(
    bodies.flatMap((body): BackplaneMessage[] => [
      body,
      { ...body, from: 'a1b2c3', at: 1_700_000_000_000.5 },
      { ...body, at: 0 },
    ]),
  )('is parsed as it was formatted: %o', (message) => {
    expect(parseMessage(formatMessage(message))).toEqual(message)
  })

  test('keeps any session name and sender', () => {
    fc.assert(
      fc.property(anyText, anyText, (session, from) => {
        const message: BackplaneMessage = { type: 'evict', session, from }
        expect(parseMessage(formatMessage(message))).toEqual(message)
      }),
    )
  })

  test('is parsed without unknown members', () => {
    const text = '{"v":1,"type":"clear-all","from":"a","at":1,"why":"a later version says so"}'
    expect(parseMessage(text)).toEqual({ type: 'clear-all', from: 'a', at: 1 })
  })

  test.for([
    ['another version', '{"v":2,"type":"clear-all"}'],
    ['a version as text', '{"v":"1","type":"clear-all"}'],
    ['no version', '{"type":"clear-all"}'],
    ['another type', '{"v":1,"type":"reload"}'],
    ['no type', '{"v":1}'],
    ['the type of another channel', '{"v":1,"type":"replica","from":"a","at":1}'],
    ['another region', '{"v":1,"type":"clear","region":"everything"}'],
    ['no region', '{"v":1,"type":"clear"}'],
    ['no session', '{"v":1,"type":"evict"}'],
    ['no token', '{"v":1,"type":"token-denied","ttlMs":1}'],
    ['a TTL of Infinity', '{"v":1,"type":"token-denied","token":"a","ttlMs":1e999}'],
    ['a session that is no text', '{"v":1,"type":"session-ended","session":7}'],
    ['a sender that is no text', '{"v":1,"type":"clear-all","from":7}'],
    ['a time that is no number', '{"v":1,"type":"clear-all","at":"now"}'],
    ['a time of Infinity', '{"v":1,"type":"clear-all","at":1e999}'],
    ['null', 'null'],
    ['a list', '[{"v":1,"type":"clear-all"}]'],
    ['a number', '1'],
    ['a text', '"clear-all"'],
    ['nothing', ''],
    ['half of one', '{"v":1,"type":"clear-a'],
    ['two of them', '{"v":1,"type":"clear-all"}{"v":1,"type":"clear-all"}'],
    ['a prototype', '{"__proto__":{"v":1,"type":"clear-all"}}'],
  ] as const)('is not parsed: %s', ([, text]) => {
    expect(parseMessage(text)).toBeUndefined()
  })

  test('is not parsed from random text, which does not throw', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(parseMessage(text)).toBeUndefined()
        expect(() => parseJson(text)).not.toThrow()
      }),
    )
    fc.assert(fc.property(fc.json(), (text) => parseMessage(text) === undefined))
  })
})
