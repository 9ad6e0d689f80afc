import { describe, expect, test } from 'vitest'
import { parseNetworks } from '../../src/config/networks.ts'
import { clientAddress } from '../../src/http/trusted-proxies.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { Visit } from '../support/visitor.ts'
import { labelled, words } from '../support/words.ts'

const party = prepared(() => startRelyingParty({ PUBLIC_PATHS: '/public/**' }))
const cookie = prepared(() => party().vestibule.signIn('alice'))

const claims: readonly (string | undefined | readonly string[])[] = [
  ...words`
    127.0.0.1 a 1.2.3.4,\x20::ffff:10.0.0.1 ,,,, 0177.0.0.1 2130706433 127.0.0.1:80,\x20[::1]:80
    fe80::1%eth0 <script>alert(1)</script> ';\x20DROP\x20TABLE\x20sessions;\x20--
  `,
  undefined,
  '',
  Array.from({ length: 500 }, (_, index) => `10.0.${index % 256}.1`).join(', '),
  Array.from({ length: 500 }, () => '127.0.0.1'),
  '1'.repeat(30_000),
]

const comparable = ({ status, headers, body }: Visit) => {
  const { date: _date, ...kept } = headers
  return { status, headers: kept, body }
}

describe('A11 X-Forwarded-For', () => {
  test.for(labelled(claims))('%s decides nothing', async ([, value]) => {
    const { vestibule } = party()
    for (const [uri, Cookie, status] of [
      ['/admin', undefined, 302],
      ['/admin', cookie(), 200],
      ['/public/a', undefined, 200],
    ] as const) {
      const common = { Cookie, 'X-Request-Id': 'the-same-each-time' }
      const plain = await vestibule.check({ uri }, common)
      const spoofed = await vestibule.check({ uri }, { ...common, 'X-Forwarded-For': value })
      expect(plain.status).toBe(status)
      expect(comparable(spoofed)).toEqual(comparable(plain))
    }
    const real = { 'X-Real-Ip': '127.0.0.1', 'X-Forwarded-For': value }
    expectLogin(await vestibule.check({ uri: '/admin' }, real), 'https://app.example.com/admin')
  })

  test('a caller outside TRUSTED_PROXIES stays outside, whatever X-Forwarded-For says', async () => {
    await using strict = await startVestibule({ TRUSTED_PROXIES: '203.0.113.0/24' })
    for (const address of ['203.0.113.1', '203.0.113.1, 203.0.113.2', '::ffff:203.0.113.1']) {
      expectRefusal(await strict.check({ for: address }, { 'X-Real-Ip': address }), 403)
    }
  })
})

describe('A11 the address that is kept of a sign-in, for operators to read', () => {
  test.for([
    ['the right-most that is no proxy', {}, '198.51.100.1, 203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['that of the connection where none is told', {}, undefined, '127.0.0.1'],
    ['that of the connection where what is told is none', {}, '<script>', '127.0.0.1'],
    [
      'that of the connection where its other end is nobody we believe',
      { TRUSTED_PROXIES: '203.0.113.0/24' },
      '198.51.100.1',
      '127.0.0.1',
    ],
  ] as const)('is %s', async ([, settings, forwardedFor, expected]) => {
    await using other = await startRelyingParty({ ...settings, ADMIN_TOKEN })
    const { browser, callbackUrl } = await other.untilCallback()
    const headers = { 'X-Forwarded-For': forwardedFor, 'X-Real-Ip': '192.0.2.1' }
    expect((await browser.get(callbackUrl, { headers })).status).toBe(302)
    const { body } = await askAdmin(other.vestibule, 'GET', 'sessions')
    expect(body).toMatchObject({ sessions: [{ subject: 'alice', address: expected }] })
  })
})

const networks = parseNetworks(['127.0.0.0/8', '10.0.0.0/8', 'fc00::/7'])
const isTrustedProxy = (address: string) =>
  networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')

const addressOf = (header: string | undefined) => clientAddress(header, isTrustedProxy)

describe('A11 the address of the client', () => {
  test.for<[string | undefined, string | undefined]>([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['203.0.113.7,10.0.0.1,10.0.0.2', '203.0.113.7'],
    ['198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['127.0.0.1, 203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['10.0.0.9, 127.0.0.1', undefined],
    ['2001:db8::7, fc00::1', '2001:db8::7'],
    ['203.0.113.7, ::ffff:10.0.0.1', '203.0.113.7'],
    ['1.2.3.4, ::FFFF:10.0.0.1', '1.2.3.4'],
    ['::ffff:203.0.113.7, 10.0.0.1', '203.0.113.7'],
    ['', undefined],
    [undefined, undefined],
  ])('in %j it is the right-most entry that is no proxy: %j', ([header, address]) => {
    expect(addressOf(header)).toBe(address)
  })

  test.for(words`
    a 203.0.113.7,\x20a 203.0.113.7,\x20unknown 203.0.113.7,\x20_hidden 203.0.113.7,\x20
    203.0.113.7,\x20203.0.113.8:x 203.0.113.7,\x20[2001:db8::1] 203.0.113.7,\x20999.1.1.1
    203.0.113.7,\x201.2.3 203.0.113.7,\x20deadbeef 203.0.113.7,\x20::::: 203.0.113.7,\x20....
    203.0.113.7,\x200177.0.0.1 203.0.113.7,\x2010.0.0.1\u00a0
  `)('an entry that is no address is none, and the one to its left is not believed: %j', (header) =>
    expect(addressOf(header)).toBeUndefined(),
  )

  test('no entry makes it throw or take long', () => {
    const before = process.threadCpuUsage()
    for (const entry of [...Array(1000).keys()].map((code) => String.fromCharCode(code))) {
      expect(() => addressOf(`203.0.113.7,${entry.repeat(50)}`)).not.toThrow()
    }
    expect(addressOf(`203.0.113.7${',10.0.0.1'.repeat(5000)}`)).toBe('203.0.113.7')
    const { user, system } = process.threadCpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(1000)
  })
})
