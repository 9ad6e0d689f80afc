import { createServer, get, type IncomingMessage } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ValueError } from '../../src/config/config-error.ts'
import { parseNetworks } from '../../src/config/networks.ts'
import { clientAddress, createTrustedProxies } from '../../src/http/trusted-proxies.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { rawRequest } from '../support/raw-request.ts'
import { rows, words } from '../support/words.ts'

const from = (
  address: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): IncomingMessage => {
  const raw = rawRequest(headers)
  Object.defineProperty(raw.socket, 'remoteAddress', { value: address })
  return raw
}

const trusting = (...networks: readonly string[]) => createTrustedProxies(parseNetworks(networks))

test.for([
  ...rows`127.0.0.1 ::ffff:127.0.0.1 10.1.2.3 ::ffff:10.1.2.3 ::ffff:a01:203 fd00::1 fd00::1%eth0`(
    true,
  ),
  ...rows`203.0.113.7 ::ffff:203.0.113.7 2001:db8::1`(false),
  ['', false],
  [undefined, false],
] as const)('a caller from %s is trusted: %s', ([address, expected]) => {
  const proxies = trusting('127.0.0.0/8', '10.0.0.0/8', 'fc00::/7')
  const peer = from(address)
  expect([proxies.isTrustedPeer(peer), proxies.isTrustedPeer(peer)]).toEqual([expected, expected])
})

test('no networks, no trust', () => expect(trusting().isTrustedPeer(from('127.0.0.1'))).toBe(false))

test('a network that is none is refused at once', () =>
  expect(() => trusting('localhost')).toThrow(ValueError))

test('the connection counts, and no header does', async () => {
  const strict = trusting('203.0.113.0/24')
  const loopback = trusting('127.0.0.1')
  const answers: boolean[][] = []
  const server = createServer((incoming, outgoing) => {
    answers.push([strict.isTrustedPeer(incoming), loopback.isTrustedPeer(incoming)])
    outgoing.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const headers = { 'X-Forwarded-For': '203.0.113.7', 'X-Real-Ip': '203.0.113.7' }
  const answered = Promise.withResolvers<void>()
  get({ host: '127.0.0.1', port, headers, agent: false }, (answer) => {
    answer.resume().once('end', answered.resolve)
  }).on('error', answered.reject)
  await answered.promise.finally(() => server.close())
  expect(answers).toEqual([[false, true]])
})

const isOurs = (address: string) => address.startsWith('10.') || address === 'fc00::1'

const LISTS = [
  ...rows`
    203.0.113.7,\x2010.0.0.1,10.0.0.2 203.0.113.7\x20,\t::ffff:10.0.0.1 1.2.3.4,\x20203.0.113.7
  `('203.0.113.7'),
  ['2001:db8::7, fc00::1', '2001:db8::7'],
  ...rows`
    [2001:db8::7]:443,\x2010.0.0.1:80 [2001:db8::7] "2001:db8::7" "[2001:db8::7]:443" 2001:db8::7%eth0
    [2001:db8::7%2]:80 2001:db8::7,\x20[fc00::1]:1 2001:db8::7,\x20::ffff:0a00:1
  `('2001:db8::7'),
  ...rows`
    203.0.113.7,\x20unknown,\x2010.0.0.1 203.0.113.7,\x20 203.0.113.7,\x20<script> 203.0.113.7\xa0
  `(undefined),
  ['', undefined],
] as const
test.for([
  ...rows`
    203.0.113.7 ::FFFF:203.0.113.7 203.0.113.7:80 [::ffff:203.0.113.7]:80 ::ffff:cb00:7107 "203.0.113.7"
    0:0:0:0:0:FFFF:CB00:7107 [0::ffff:cb00:7107]:80
  `('203.0.113.7'),
  ...rows`
    10.0.0.1 10.0.0.1:80 ::ffff:10.0.0.1 unknown _hidden 203.0.113.7:x [203.0.113.7]x 203.0.113.7:123456
    "203.0.113.7 [2001:db8::7 2001:db8::7]:80 for=203.0.113.7
  `(undefined),
  ...LISTS,
] as const)('of X-Forwarded-For %j the visitor is %j (A11)', ([header, expected]) =>
  expect(clientAddress(header, isOurs)).toBe(expected),
)

test('without the header, or with a list of them, the visitor is not known', () => {
  expect(clientAddress(undefined, isOurs)).toBeUndefined()
  expect(clientAddress(['203.0.113.7'], isOurs)).toBeUndefined()
  expect(trusting('10.0.0.0/8').clientAddress(from('10.0.0.2'))).toBeUndefined()
})

test('a proxy of ours is believed what it says of the visitor, and nobody else is', () => {
  const proxies = trusting('10.0.0.0/8')
  const told = { 'X-Forwarded-For': '1.2.3.4, 10.0.0.1' }
  expect(proxies.clientAddress(from('10.0.0.2', told))).toBe('1.2.3.4')
  expect(proxies.clientAddress(from('203.0.113.7', told))).toBeUndefined()
  expect(clientAddress(`203.0.113.7${',10.0.0.1'.repeat(5000)}`, isOurs)).toBe('203.0.113.7')
})

test('an entry of blanks is no address, and its length costs no time', () => {
  const text = `7${' '.repeat(16_000)}7`
  const proxies = trusting('10.0.0.0/8')
  const told = from('10.0.0.2', { 'X-Forwarded-For': text })
  // Takes minutes where the time grows by the square of the blanks.
  for (let round = 0; round < 300; round++) {
    expect(clientAddress(text, isOurs)).toBeUndefined()
    expect(proxies.limitedOrigin(told)).toEqual({ address: 'unusable', isTold: true })
  }
})

test('whatever X-Forwarded-For says, the visitor has an address that is no proxy, or none', () => {
  const entry = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.1', 'fc00::1'), anyText)
  holds(100, [fc.array(entry, { maxLength: 4 })], (entries) => {
    const address = clientAddress(entries.join(','), isOurs)
    if (address === undefined) return
    expect(isIP(address)).not.toBe(0)
    expect(isOurs(address)).toBe(false)
  })
})

test.for<[string, string | undefined, string, boolean]>([
  ['203.0.113.7', undefined, '203.0.113.7', true],
  ['203.0.113.7', '198.51.100.1', '203.0.113.7', true],
  ['10.0.0.2', undefined, '10.0.0.2', false],
  ['10.0.0.2', '', 'unusable', true],
  ...words`
    1.2.3.4,\x20203.0.113.7:80,\x2010.0.0.1=>203.0.113.7 10.9.9.9,\x2010.1.2.3=>10.1.2.3
    <script>=>unusable 203.0.113.7,\x20300.1.1.1=>unusable 2001:DB8:0:1:2:3:4:5=>2001:db8:0:1
    2001:db8::1:2:3:4:5=>2001:db8:0:1 [2001:0db8::1]:443=>2001:db8:0:0
    64:ff9b::203.0.113.7=>64:ff9b:0:0 ::ffff:203.0.113.7=>203.0.113.7
  `.map((pair): [string, string, string, boolean] => {
    const [told = '', address = ''] = pair.split('=>')
    return ['10.0.0.2', told, address, true]
  }),
  ['::1', undefined, '0:0:0:0', true],
])('limits of a request of %s for %j are by %j (C11)', ([peer, told, address, isTold]) => {
  const proxies = trusting('10.0.0.0/8')
  const headers = told === undefined ? {} : { 'X-Forwarded-For': told }
  expect(proxies.limitedOrigin(from(peer, headers))).toEqual({ address, isTold })
})

test('limits know a network for whatever address there is (C11)', () => {
  const proxies = trusting()
  holds(100, [fc.oneof(fc.ipV4(), fc.ipV6())], (peer) => {
    const { address } = proxies.limitedOrigin(from(peer))
    expect(address).toMatch(/^(?:\d+(?:\.\d+){3}|[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){3})$/)
  })
})
