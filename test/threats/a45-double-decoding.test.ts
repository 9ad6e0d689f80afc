import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  expectKnownLocations,
  expectRefusedReturn,
  type ReturnToParty,
  startReturnToParty,
} from '../support/return-to.ts'
import { startVestibule } from '../support/vestibule.ts'

let sut: ReturnToParty

beforeAll(async () => {
  sut = await startReturnToParty()
})
afterAll(() => sut[Symbol.asyncDispose]())

const refused = [
  '%252f%252fevil.example',
  '%252F%255Cevil.example',
  '%255c%255cevil.example',
  '%25252f%25252fevil.example',
  '%25%32%66%25%32%66evil.example',
  'https%253a%252f%252fevil.example',
  'https%3a%252f%252fevil.example',
  '%2568ttps://evil.example',
  '%2509//evil.example',
  '%2520//evil.example',
  'https://app.example.com%2540evil.example',
  'https://app.example.com%252f@evil.example',
  '%c0%af%c0%afevil.example',
  '%u002f%u002fevil.example',
  '%%32%66%%32%66evil.example',
]

/** What the framework decodes once, and nobody after it. */
const kept = [
  ['/%252f%252fevil.example', '/%2f%2fevil.example'],
  ['/%2f%2fevil.example', undefined],
  ['/%252e%252e//evil.example', undefined],
  ['/a/%252e%252e/b', '/b'],
  ['/%255cevil.example', '/%5cevil.example'],
  ['/%2509/evil.example', '/%09/evil.example'],
  ['/%250d%250aSet-Cookie:a=b', '/%0d%0aSet-Cookie:a=b'],
  ['/%2500', '/%00'],
  ['/%25', '/%'],
  ['/%25zz', '/%zz'],
  ['/a%252fb', '/a%2fb'],
  ['/%25252f', '/%252f'],
  ['/?x=%2526rd=//evil.example', '/?x=%26rd=//evil.example'],
  ['/?x=%26rd=//evil.example', '/?x=&rd=//evil.example'],
  ['/a%2Bb', '/a+b'],
] as const

describe('A45 double decoding', () => {
  test.for(refused)('what needs two decodings is refused: %s', async (encoded) => {
    expectRefusedReturn(await sut.login(`?rd=${encoded}`))
    expect(sut.party.vestibule.isAlive()).toBe(true)
  })

  test.for(kept)('%s is decoded once and no more', async ([encoded, path], { expect }) => {
    if (path === undefined) return expectRefusedReturn(await sut.login(`?rd=${encoded}`))
    const { target, trail } = await sut.land(`?rd=${encoded}`)
    expect(target).toBe(APP + path)
    expectKnownLocations(trail, sut.party.provider.issuer)
  })

  test.for(['/%2f%2fevil.example', '/%252f%252fevil.example', '/%5cevil.example', '/%2fx'])(
    'the check hands on the path as it is, encoded once: %s',
    async (uri, { expect }) => {
      const visit = await sut.party.vestibule.check({ uri })
      expect(visit.headers.location).toBe(`${APP}/oauth2/login?rd=${encodeURIComponent(APP + uri)}`)
      const { target } = await sut.land(new URL(visit.location ?? '').search)
      expect(target).toBe(APP + uri)
    },
  )

  test('a detour over PUBLIC_URL adds one encoding and takes one away', async () => {
    await using central = await startVestibule({
      PUBLIC_URL: 'https://auth.example.com',
      COOKIE_DOMAIN: 'example.com',
    })
    const browser = central.visitor(['app.example.com', 'auth.example.com'])
    const target = '/oauth2/login?rd=/%252f%252fevil.example%253f'
    const visit = await browser.get(`${APP}/oauth2/login`, { target })
    expect(visit.headers.location).toBe(
      `https://auth.example.com/oauth2/login?rd=${encodeURIComponent(`${APP}/%2f%2fevil.example%3f`)}`,
    )
  })
})
