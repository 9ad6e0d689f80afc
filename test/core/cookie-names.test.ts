import { expect, test } from 'vitest'
import { cookieBases, cookieVariants } from '../../src/core/cookie-names.ts'

test('all cookies of an installation are named after its session cookie', () =>
  expect(cookieBases('sid')).toEqual({
    session: 'sid',
    outage: 'sid_outage',
    binding: 'sid_login',
    target: 'sid_target',
  }))

test('a cookie name has no prefix, or one of the two that browsers enforce', () =>
  expect(cookieVariants('sid')).toEqual(['sid', '__Host-sid', '__Secure-sid']))
