import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLog, userDigest } from '../../src/telemetry/log.ts'
import { anyText } from '../support/any-text.ts'

const ISSUER = 'https://id.example.com'

test('a user has one digest, which tells nothing of who it is', () => {
  const digest = userDigest(ISSUER, 'alice@example.com')
  expect(digest).toMatch(/^[A-Za-z0-9_-]{16}$/)
  expect(userDigest(ISSUER, 'alice@example.com')).toBe(digest)
  expect(userDigest(ISSUER, 'bob')).not.toBe(digest)
  expect(userDigest('https://other.example.com', 'alice@example.com')).not.toBe(digest)
})

test('issuer and subject do not run into each other, whatever they hold', () => {
  expect(userDigest('a', 'bc')).not.toBe(userDigest('ab', 'c'))
  expect(userDigest('a","b', 'c')).not.toBe(userDigest('a', 'b","c'))
  fc.assert(
    fc.property(anyText, anyText, (issuer, subject) => {
      expect(userDigest(issuer, subject)).toMatch(/^[A-Za-z0-9_-]{16}$/)
    }),
  )
})

test('a level below the one asked for is not written', () => {
  expect(createLog('warn').isLevelEnabled('info')).toBe(false)
  expect(createLog('warn').isLevelEnabled('error')).toBe(true)
  expect(createLog('silent').isLevelEnabled('fatal')).toBe(false)
})
