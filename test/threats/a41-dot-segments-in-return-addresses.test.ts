import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import {
  expectKnownLocations,
  expectRefusedReturn,
  type ReturnToParty,
  rdQuery,
  startReturnToParty,
} from '../support/return-to.ts'

let sut: ReturnToParty

beforeAll(async () => {
  sut = await startReturnToParty()
})
afterAll(() => sut[Symbol.asyncDispose]())

const trapped = [
  '/..//evil.example',
  '/.//evil.example',
  '/./\\evil.example',
  '/../\\evil.example',
  '/.\\evil.example',
  '/..\\evil.example',
  '/././/evil.example',
  '/a/..//evil.example',
  '/a/b/../..//evil.example',
  '/a/../..//evil.example',
  '/a/./..//evil.example',
  '/%2e//evil.example',
  '/%2e%2e//evil.example',
  '/%2E%2e//evil.example',
  '/.%2e//evil.example',
  '/%2e.//evil.example',
  '/a/%2e%2e//evil.example',
  '/..///evil.example',
  '/..//evil.example/..',
  '/..//evil.example?x#y',
  '/..//',
  `${APP}//evil.example`,
  `${APP}/..//evil.example`,
  `${APP}/.//evil.example`,
  `${APP}/a/..//evil.example`,
  `${APP}/%2e%2e//evil.example`,
  `${APP}/./\\evil.example`,
  'https://other.example.com/..//evil.example',
]

describe('A41 dot segments that leave two slashes behind', () => {
  test.for(trapped)('is refused with a page: %s', async (rd) => {
    expectRefusedReturn(await sut.login(rdQuery(rd)))
    expect(sut.party.vestibule.isAlive()).toBe(true)
  })

  test.for([
    ['/a/../b', `${APP}/b`],
    ['/./a', `${APP}/a`],
    ['/..', `${APP}/`],
    ['/../../etc/passwd', `${APP}/etc/passwd`],
    ['/a//../b', `${APP}/a/b`],
    ['/a/b//evil.example', `${APP}/a/b//evil.example`],
    ['/...//evil.example', `${APP}/...//evil.example`],
    ['/..;//evil.example', `${APP}/..;//evil.example`],
    ['/%252e%252e//evil.example', `${APP}/%252e%252e//evil.example`],
    ['/%2e%2e%2f/evil.example', `${APP}/%2e%2e%2f/evil.example`],
    ['/x?y=/..//evil.example', `${APP}/x?y=/..//evil.example`],
  ] as const)('other paths come out whole, as an absolute address: %s', async ([rd, target]) => {
    const landing = await sut.land(rdQuery(rd))
    expect(landing.target).toBe(target)
    expectKnownLocations(landing.trail, sut.party.provider.issuer)
  })

  test.for([
    '/..//evil.example',
    '/.//evil.example',
    '/a/..//evil.example',
    '/%2e%2e//evil.example',
  ])('the check asks for no sign-in that leads there: %s', async (uri) => {
    expectRefusal(await sut.party.vestibule.check({ uri }), 400)
  })

  test.for([
    `${APP}/..//evil.example`,
    `${APP}//evil.example`,
    `${APP}/.//evil.example`,
    `${APP}/\\evil.example`,
    `${APP}@evil.example/`,
    `${APP}.evil.example/`,
    '//evil.example',
    'https://evil.example/',
    '/x',
  ])('a form whose Referer is hostile leads back to the root: %s', async (Referer, { expect }) => {
    const visit = await sut.party.vestibule.check({ method: 'POST' }, { Referer })
    expect(visit.status).toBe(303)
    expect(visit.headers.location).toBe(`${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/`)}`)
  })

  test('a form leads back to the page that it was on', async () => {
    const visit = await sut.party.vestibule.check(
      { method: 'POST' },
      { Referer: `${APP}/form?a=b` },
    )
    expect(visit.headers.location).toBe(
      `${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/form?a=b`)}`,
    )
  })
})
