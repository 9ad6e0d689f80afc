import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clientAddress } from '../../src/routes/trusted-peers.ts'

describe('the address of the client (A11)', () => {
  const isTrustedProxy = (address: string) => address.startsWith('10.')
  const addressOf = (value: string) => clientAddress(value, isTrustedProxy)

  test.for([
    ['203.0.113.7', '203.0.113.7'],
    ['1.2.3.4, 203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 10.0.0.1,10.0.0.2', '203.0.113.7'],
    ['2001:db8::7', '2001:db8::7'],
    ['10.0.0.1', undefined],
    ['', undefined],
    ['unknown', undefined],
    ['203.0.113.7, ', undefined],
    ['203.0.113.7, <script>', undefined],
    ['203.0.113.7:80; x', undefined],
  ])('%j is %j', ([value = '', expected], { expect }) => {
    expect(addressOf(value)).toBe(expected)
  })

  test('without the header, or with a list of them, nobody knows', () => {
    expect(clientAddress(undefined, isTrustedProxy)).toBeUndefined()
    expect(clientAddress(['203.0.113.7'], isTrustedProxy)).toBeUndefined()
  })

  test('any text gives the form of an address or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (value) => {
        expect(addressOf(value) ?? '::').toMatch(/^[0-9a-fA-F.:]{2,45}$/)
      }),
    )
  })
})
