import { describe, expect, test } from 'vitest'
import { expectLogin } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const { sut, vestibule, refusesQueries, leadsQueries } = returnAddressTables()

const twiceEncoded = words`
  %252f%252fevil.example %252F%255Cevil.example %255c%255cevil.example %25252f%25252fevil.example
  %25%32%66%25%32%66evil.example https%253a%252f%252fevil.example https%3a%252f%252fevil.example
  %2568ttps://evil.example %2509//evil.example %2520//evil.example
  https://app.example.com%2540evil.example https://app.example.com%252f@evil.example
  %c0%af%c0%afevil.example %u002f%u002fevil.example %%32%66%%32%66evil.example
`

describe('A45 double decoding', () => {
  refusesQueries(
    'a return address that needs two decodings is refused: %s',
    twiceEncoded.map((encoded) => `?rd=${encoded}`),
  )

  leadsQueries('a return address is decoded once and no more: %s', [
    ['?rd=/%252f%252fevil.example', `${APP}/%2f%2fevil.example`],
    ['?rd=/%2f%2fevil.example', undefined],
    ['?rd=/%252e%252e//evil.example', undefined],
    ['?rd=/a/%252e%252e/b', `${APP}/b`],
    ['?rd=/%255cevil.example', `${APP}/%5cevil.example`],
    ['?rd=/%2509/evil.example', `${APP}/%09/evil.example`],
    ['?rd=/%250d%250aSet-Cookie:a=b', `${APP}/%0d%0aSet-Cookie:a=b`],
    ['?rd=/%2500', `${APP}/%00`],
    ['?rd=/%25', `${APP}/%`],
    ['?rd=/%25zz', `${APP}/%zz`],
    ['?rd=/a%252fb', `${APP}/a%2fb`],
    ['?rd=/%25252f', `${APP}/%252f`],
    ['?rd=/?x=%2526rd=//evil.example', `${APP}/?x=%26rd=//evil.example`],
    ['?rd=/?x=%26rd=//evil.example', `${APP}/?x=&rd=//evil.example`],
    ['?rd=/a%2Bb', `${APP}/a+b`],
  ])

  test.for(words`
    /%2f%2fevil.example /%252f%252fevil.example /%5cevil.example /%2fx
  `)('the check hands on the path as it is, encoded once: %s', async (uri) => {
    const visit = await vestibule().check({ uri })
    expectLogin(visit, APP + uri)
    const { target } = await sut().land(new URL(visit.location ?? '').search)
    expect(target).toBe(APP + uri)
  })

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
