import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ValueError } from '../../src/config/config-error.ts'
import { createNetworks, parseNetwork, parseNetworks } from '../../src/config/networks.ts'
import { anyText } from '../support/any-text.ts'
import { rows, words } from '../support/words.ts'

const has = (entries: readonly string[], address: string): boolean =>
  parseNetworks(entries).check(address, address.includes(':') ? 'ipv6' : 'ipv4')

test.for([
  ...rows`10.0.0.0/8>10.255.255.255 10.1.2.3/8>10.9.9.9 192.0.2.7>192.0.2.7 ::1>::1 fc00::/7>fd12::1
    172.16.0.0/12>172.31.0.1 0.0.0.0/0>203.0.113.7 ::/0>2001:db8::1`(true),
  ...rows`10.0.0.0/8>11.0.0.0 192.0.2.7>192.0.2.8 192.0.2.7/32>192.0.2.8 172.16.0.0/12>172.32.0.1
    0.0.0.0/0>2001:db8::1 fc00::/7>fe80::1 ::1/128>::2`(false),
])('network>address %s: %s', ([row, expected]) => {
  const [entry = '', address = ''] = row.split('>')
  expect(has([entry], address)).toBe(expected)
})

test('several entries hold together, none holds nothing', () => {
  expect([has(['10.0.0.0/8', '::1'], '::1'), has([], '127.0.0.1')]).toEqual([true, false])
})

test('what has no address of either kind is in no network', () => {
  for (const address of ['', 'localhost', '127.0.0.1.', '1.2.3'])
    expect(has(['0.0.0.0/0', '::/0'], address)).toBe(false)
})

test.for([
  '',
  ...words`/ localhost 10.0.0 10.0.0.0.0 256.0.0.1 10.0.0.0/ 10.0.0.0/33 10.0.0.0/-1 10.0.0.0/8.0
    10.0.0.0/a 10.0.0.0/\x208 \x2010.0.0.0/8 ::1/129 10.0.0.0/1e1 10.0.0.0/0x8 10.0.0.0/8,::1 [::1]
    10.* 10.0.0.0-10.0.0.9 10.0.0.0/8/16`,
])('%j is refused by its name', (entry) => {
  expect(() => parseNetworks(['127.0.0.0/8', entry])).toThrow(ValueError)
  expect(() => parseNetworks(['127.0.0.0/8', entry])).toThrow(`${entry} is not a network`)
})

test('any text is refused with a ValueError, or is a network that holds its own address', () => {
  const near = fc.oneof(
    fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat({ max: 140 })).map((parts) => parts.join('/')),
    anyText,
  )
  fc.assert(
    fc.property(near, (entry) => {
      const [address = ''] = entry.split('/')
      try {
        expect(has([entry], address)).toBe(true)
        expect(isIP(address)).not.toBe(0)
      } catch (error) {
        if (!(error instanceof ValueError)) throw error
        expect(error.message).toBe(`${entry} is not a network`)
      }
    }),
  )
})

describe('networks of a condition', () => {
  const inNetwork = (source: string, address: string) =>
    createNetworks([parseNetwork(source)].filter((each) => each !== undefined)).contains(address)

  test.for([
    ...rows`10.0.0.0/8>10.9.9.9 10.0.0.0/8>::ffff:10.9.9.9 10.0.0.0/8>::ffff:a09:909
      ::ffff:10.0.0.0/104>10.9.9.9 ::ffff:10.0.0.0/104>::ffff:10.9.9.9 ::ffff:192.0.2.7>192.0.2.7
      ::ffff:0:0/96>203.0.113.7 0.0.0.0/0>::ffff:203.0.113.7 ::/0>2001:db8::1
      2001:db8::/32>2001:DB8:0::1 2001:db8::7>2001:db8::7 fe80::/10>fe80::1%eth0`(true),
    ...rows`10.0.0.0/8>11.0.0.1 10.0.0.0/8>::10.9.9.9 ::ffff:10.0.0.0/104>11.0.0.1
      ::/0>203.0.113.7 ::/0>::ffff:203.0.113.7 ::/95>203.0.113.7 ::ffff:203.0.113.7/95>203.0.113.7 0.0.0.0/0>2001:db8::1
      0.0.0.0/0>::203.0.113.7`(false),
  ])('%s: %s', ([row, expected]) => {
    const [network = '', address = ''] = row.split('>')
    expect(inNetwork(network, address)).toBe(expected)
  })

  test('hold nothing where there is none', () =>
    expect(createNetworks([]).contains('192.0.2.7')).toBe(false))

  test.for(['', 'localhost', '192.0.2', '192.0.2.7:80', '[::1]', '192.0.2.7, 10.0.0.1', 'unknown'])(
    'throw for %j, because false would permit under none',
    (text) => expect(() => inNetwork('192.0.2.0/24', text)).toThrow(TypeError),
  )
})
